"""A run's events as the calls of a tracker: the same while it trains and afterwards."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from luthier.runs import Event, Run
from luthier.runs.files import read_json
from luthier.tracking import About, Rows, Tracker

CURVES = ("loss", "learning_rate", "grad_norm", "tokens_per_second", "tokens")
"""Fields of a step that become curves."""

ENDS = ("finished", "failed", "interrupted")
"""States behind which nothing comes."""


class Teller:
    """Tells one tracker about one run."""

    def __init__(self, tracker: Tracker, run: Run) -> None:
        self._tracker, self._run = tracker, run
        self._step, self._time = 0, 0.0

    def begin(self, after: int) -> str:
        """Opens the tracker; see `Tracker.open`."""
        return self._tracker.open(About.of(self._run), after)

    def tell(self, event: Event) -> None:
        """Passes an event on; kinds that trackers do not show are left out."""
        self._step, self._time = event["step"], event["time"]
        match event["kind"]:
            case "step":
                self._curves("train", {name: event.get(name) for name in CURVES})
            case "evaluation":
                self._curves("train_mean" if event["split"] == "train" else event["split"], event["metrics"])
            case "samples" if self._tracker.options.samples:
                self._tracker.table("samples", event["rows"], self._step, self._time)

    def end(self, state: str) -> None:
        """Passes the final scores on, where there are any, and closes the tracker."""
        if self._run.metrics_file.exists():
            results = read_json(self._run.metrics_file)
            for name, rows in confusions(results):
                self._tracker.table(name, rows, self._step, self._time)
            if scores := final_scores(results):
                self._tracker.results(scores, self._step, self._time)
        self._tracker.close(state)

    def _curves(self, group: str, values: Mapping[str, Any]) -> None:
        if finite := {f"{group}/{name}": value for name, value in values.items() if _finite(value)}:
            self._tracker.curves(finite, self._step, self._time)


def final_scores(results: Mapping[str, Any]) -> dict[str, float]:
    """The scores in metrics.json as SPLIT/MODE/MODEL/METRIC."""
    found: dict[str, Any] = {}
    for where, comparison in _comparisons(results):
        models = {"base": comparison["base"] or {}, "tuned": comparison["tuned"], **comparison["baselines"]}
        for model, scores in models.items():
            found |= {f"{where}/{model}/{metric}": score["value"] for metric, score in scores.items()}
    return {name: value for name, value in found.items() if _finite(value)}


def confusions(results: Mapping[str, Any]) -> Iterator[tuple[str, Rows]]:
    """(name, table) of every confusion matrix of the tuned model: a row for each class, a column for each answer."""
    for where, comparison in _comparisons(results):
        matrix = comparison.get("confusion", {}).get("tuned")
        if not matrix:
            continue
        classes = comparison["classes"]
        answered = [*classes, "invalid"]
        lines = zip(classes, matrix, strict=True)
        yield (
            f"{where}/confusion",
            [{"expected, answered": name, **dict(zip(answered, line, strict=True))} for name, line in lines],
        )


def _comparisons(results: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for split, modes in results["results"].items():
        for mode, comparison in modes.items():
            yield f"{split}/{mode}", comparison


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
