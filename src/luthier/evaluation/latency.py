"""How long a run's model takes for an answer: its base, the base with the adapter beside it, and with it merged in."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from luthier import registry
from luthier.errors import LuthierError
from luthier.evaluation.speaker import Speaker, open_speaker
from luthier.runs import Run

if TYPE_CHECKING:
    from torch import nn

REPEATS = 5


def asked_texts(run: Run, count: int) -> list[str]:
    """What the evaluation asked about, the first rows of it."""
    with run.predictions_file.open(encoding="utf-8") as file:
        lines = (json.loads(text) for text in file)
        prompts = dict.fromkeys(line["prompt"] for line in lines if line["model"] == "tuned")
    return list(prompts)[:count]


def measure_latency(run: Run, texts: Sequence[str]) -> dict[str, Any]:
    """Asks the same texts by turns, in the number type of the run.

    Args:
        run: a finished run.
        texts: what is asked about, in one go.

    Returns:
        rows, mode, dtype; base_ms, unmerged_ms and merged_ms: median milliseconds an answer (merged_ms is None where
        the method cannot be merged, and unmerged_only says why).
    """
    tuned, base = open_speaker(run), open_speaker(run, base=True)
    dtype = str(tuned.base.dtype).removeprefix("torch.")
    found: dict[str, Any] = {"rows": len(texts), "mode": tuned.modes[0], "dtype": dtype, "merged_ms": None}
    found["base_ms"], found["unmerged_ms"] = _by_turns(tuned, [base.network, tuned.network], texts)
    method = registry.load("method", tuned.config.method.name)(tuned.config.method)
    try:
        merged = method.merge(tuned.network).to(tuned.base.dtype).eval()
    except LuthierError as error:
        return found | {"unmerged_only": error.found}
    found["base_ms"], found["merged_ms"] = _by_turns(tuned, [base.network, merged], texts)
    return found


def _by_turns(speaker: Speaker, networks: Sequence[nn.Module], texts: Sequence[str]) -> list[float]:
    """Median milliseconds an answer of each network; the first turn warms up and does not count."""
    rows = speaker.rows(texts)
    length = speaker.config.evaluation.generate.max_new_tokens
    taken: list[list[float]] = [[] for _ in networks]
    for turn in range(REPEATS + 1):
        for times, network in zip(taken, networks, strict=True):
            started = time.perf_counter()
            speaker.task.predict(network, speaker.renderer, rows, mode=speaker.modes[0], max_new_tokens=length)
            if turn:
                times.append(time.perf_counter() - started)
    return [round(1000 * median(times) / len(rows), 3) for times in taken]
