"""How quickly a model writes: for one person who waits, and for many rows at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from luthier.data.records import TokenSequence
from luthier.data.rendering import Renderer
from luthier.languages import tell
from luthier.tasks import Prediction, Task

if TYPE_CHECKING:
    from torch import nn

ALONE = 3
"""Rows that are asked about one after the other."""


def measure_speed(
    task: Task, network: nn.Module, renderer: Renderer, rows: Sequence[TokenSequence], max_new_tokens: int
) -> dict[str, Any]:
    """Asks about a few rows, one after the other, each for its first token and for its whole answer.

    Returns:
        rows; first_token_ms, the median; tokens_per_second behind the first token, None where no answer has more.
    """
    first: list[float] = []
    tokens, seconds = 0, 0.0

    def ask(row: TokenSequence, length: int) -> tuple[Prediction, float]:
        started = time.perf_counter()
        (answer,) = task.predict(network, renderer, [row], mode="generate", max_new_tokens=length)
        return answer, time.perf_counter() - started

    for row in rows[:ALONE]:
        begun, (answer, whole) = ask(row, 1)[1], ask(row, max_new_tokens)
        first.append(begun)
        if answer.written > 1 and whole > begun:
            tokens, seconds = tokens + answer.written - 1, seconds + whole - begun
    return {
        "rows": len(first),
        "first_token_ms": round(1000 * median(first), 1),
        "tokens_per_second": round(tokens / seconds, 1) if tokens else None,
    }


def describe_speed(record: Mapping[str, Any]) -> str | None:
    """In words what run.json says about the tuned model's written answers; None where it wrote none."""
    alone = record.get("speed")
    if not alone:
        return None
    parts = [tell("first token after {ms:.0f} ms", ms=alone["first_token_ms"])]
    if alone["tokens_per_second"]:
        parts.append(tell("then {tokens:.0f} tokens/s, one answer at a time", tokens=alone["tokens_per_second"]))
    together = record.get("asking", {}).get("tuned", {}).get("generate", {})
    if together.get("tokens"):
        speed = together["tokens"] / together["seconds"]
        parts.append(tell("{tokens:.0f} tokens/s, {rows} rows in batches", tokens=speed, rows=together["rows"]))
    return tell("; ").join(parts)
