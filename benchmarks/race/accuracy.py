"""Time to 0.95 test accuracy on A, start-up included: the same rows in the same order, asked every few steps.

Asking is not counted, and it is the same for everybody: a plain forward pass over the test prompts, the answer being
the label whose first token is most likely.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

from race.contestants import CONTESTANTS
from race.processes import Entry, prepare_once, together
from race.search import settings_for
from race.workloads import prepare

TARGET, EVERY, STEPS = 0.95, 8, 120
SPLIT = ("data.split.test=0.1",)
ABLE = ("fast", "reference", "trainer", "trl")
"""Those whose network can be asked in the middle of training."""


def race(names: Sequence[str], repeats: int) -> dict[str, Any]:
    """Trains until the target, or through most of an epoch; results by contestant."""
    prepared = prepare("A", STEPS, SPLIT)
    found: dict[str, Any] = {}
    for name in (name for name in names if name in ABLE):
        contestant = CONTESTANTS[name]
        prepare_once(contestant, prepared)
        entry = Entry(contestant, settings_for(contestant, "A"))
        ask = {"every": EVERY, "target": TARGET, "rows": str(prepared.folder / "test.jsonl")}
        results = [together([entry], prepared, STEPS, ask=ask)[0] for _ in range(repeats)]
        found[name] = summarised(results)
        print(f"time to {TARGET} on A: {name} {found[name]}", file=sys.stderr, flush=True)
    return found


def summarised(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Median seconds to the target, and the first curve of (step, seconds, accuracy)."""
    failed = next((result["failed"] for result in results if "failed" in result), None)
    if failed is not None:
        return {"failed": failed}
    curves = [result["accuracy"] for result in results]
    ends = [curve[-1] for curve in curves]
    reached = all(accuracy >= TARGET for _, _, accuracy in ends)
    return {
        "seconds": round(median(seconds for _, seconds, _ in ends), 1) if reached else None,
        "steps": ends[0][0],
        "curve": curves[0],
    }
