"""A run of forty steps as it lies in its folder, and a tracker that notes what it is told."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from luthier.runs import Run
from luthier.runs.files import write_json, write_text
from luthier.tracking import About, TrackerOptions

CONFIG = """
name: headlines
model: {base: some/base}
data: {train: rows.jsonl, instruction: "What is | the mood?"}
"""
LABELS = ["negative", "positive"]
STEPS, EVERY, RESUMED_AT = 40, 10, 20
HOSTILE = "a | <b>pipe</b>\nand a line\r\n## 上涨"


def _events(run: Run) -> Iterator[dict[str, Any]]:
    chance = random.Random(1)
    yield {"kind": "state", "step": 0, "state": "running", "steps": STEPS}
    yield {"kind": "samples", "step": 0, "rows": _samples("?")}
    for step in range(1, STEPS + 1):
        loss = 2.0 / step + chance.random() / 10
        rate = {"learning_rate": 1e-4, "grad_norm": 0.5, "tokens": 100 * step, "tokens_per_second": 50.0}
        yield {"kind": "step", "step": step, "loss": loss, **rate, "seconds": 2.0 * step}
        if step % EVERY == 0:
            scores = {"accuracy": step / 100, "loss": 1.0 / step, "mcc": None, "odd": float("nan")}
            yield {"kind": "evaluation", "step": step, "split": "validation", "metrics": scores}
            yield {"kind": "samples", "step": step, "rows": _samples(f"answer {step}")}
            yield {"kind": "checkpoint", "step": step, "path": f"step-{step:06d}", "best": True}
        if step == RESUMED_AT:
            yield {"kind": "state", "step": step, "state": "interrupted", "message": ""}
            yield {"kind": "state", "step": step, "state": "running", "steps": STEPS}
    yield {"kind": "state", "step": STEPS, "state": "finished", "message": ""}


def _samples(answer: str) -> list[dict[str, Any]]:
    return [
        {"prompt": HOSTILE, "expected": "positive", "answer": answer, "valid": answer != "?"},
        {"prompt": "short", "expected": None, "answer": answer, "valid": False},
    ]


def _score(value: float) -> dict[str, float]:
    return {"value": value, "low": value, "high": value}


RESULTS = {
    "primary": {"split": "test", "mode": "labels", "metric": "accuracy"},
    "results": {
        "test": {
            "labels": {
                "base": {"accuracy": _score(0.5)},
                "tuned": {"accuracy": _score(0.75), "mcc": _score(float("nan"))},
                "baselines": {"majority": {"accuracy": _score(0.25)}},
                "classes": LABELS,
                "confusion": {"base": [[1, 3, 0], [2, 2, 0]], "tuned": [[3, 1, 0], [0, 3, 1]]},
            },
            "generate": {"base": None, "tuned": {"chrf": _score(33.0)}, "baselines": {}},
        }
    },
}
SCORES = {
    "test/labels/base/accuracy": 0.5,
    "test/labels/tuned/accuracy": 0.75,
    "test/labels/majority/accuracy": 0.25,
    "test/generate/tuned/chrf": 33.0,
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A finished run."""
    folder = tmp_path / "headlines" / "20260202-101500-ab12cd"
    folder.mkdir(parents=True)
    made = Run(folder)
    write_text(made.config_file, CONFIG)
    write_json(folder / "run.json", {"state": "finished"})
    write_json(made.metrics_file, RESULTS)
    log = made.events
    for event in _events(made):
        log.write(event.pop("kind"), event.pop("step"), **event)
    return made


class Notes:
    """A tracker that notes its calls."""

    Options = TrackerOptions
    package = "json"
    repeats = "noted again"

    def __init__(self, options: TrackerOptions | None = None) -> None:
        self.options = options or TrackerOptions(name="notes")
        self.calls: list[tuple[Any, ...]] = []

    def open(self, about: About, after: int) -> str:
        self.calls.append(("open", about, after))
        return "notes"

    def curves(self, values: Mapping[str, float], step: int, time: float) -> None:
        self.calls.append(("curves", dict(values), step, time))

    def table(self, name: str, rows: Any, step: int, time: float) -> None:
        self.calls.append(("table", name, rows, step, time))

    def results(self, values: Mapping[str, float], step: int, time: float) -> None:
        self.calls.append(("results", dict(values), step))

    def close(self, state: str) -> None:
        self.calls.append(("close", state))

    def named(self, kind: str) -> list[tuple[Any, ...]]:
        """The calls of one kind, without its name."""
        return [call[1:] for call in self.calls if call[0] == kind]


@pytest.fixture
def notes() -> type[Notes]:
    """The class of a tracker that notes its calls."""
    return Notes


@pytest.fixture
def scores() -> dict[str, float]:
    """The final scores of the run, as trackers get them."""
    return dict(SCORES)


@pytest.fixture
def hostile() -> str:
    """A prompt among the samples, of characters that mean something to some."""
    return HOSTILE
