"""What a symptom may look at: a run's folder, read once, and its prepared rows while they are in the cache."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from luthier import registry
from luthier.config import RunConfig
from luthier.data.ledger import Summary, summarise
from luthier.data.prepare import Prepared
from luthier.diagnosis._finding import NotExamined
from luthier.methods import Method
from luthier.models.origins import Origins
from luthier.runs import Event, Run, read_events
from luthier.runs.files import cache_folder, read_json
from luthier.tasks import Form, form_of
from luthier.training.guidance import middle_rate

FEWEST_STEPS = 10
"""A shorter curve says nothing."""


class Case:
    """A run as symptoms see it. What the run does not have raises `NotExamined`."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @cached_property
    def config(self) -> RunConfig:
        """The configuration."""
        return self.run.config

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """run.json."""
        return self.run.record

    @cached_property
    def events(self) -> list[Event]:
        """All events in order."""
        return list(read_events(self.run.events.path))

    @cached_property
    def steps(self) -> list[Event]:
        """The optimiser steps, at least `FEWEST_STEPS` of them."""
        steps = [event for event in self.events if event["kind"] == "step" and math.isfinite(event["loss"])]
        if len(steps) < FEWEST_STEPS:
            raise NotExamined(f"{len(steps)} recorded steps are too few to judge a curve")
        return steps

    @cached_property
    def losses(self) -> list[float]:
        """The training loss of every step."""
        return [float(event["loss"]) for event in self.steps]

    def validation(self, metric: str) -> list[tuple[int, float]]:
        """(step, value) of a validation metric, where it was measured."""
        evaluations = [e for e in self.events if e["kind"] == "evaluation" and e["split"] != "train"]
        pairs = [(int(event["step"]), event["metrics"].get(metric)) for event in evaluations]
        return [(step, float(value)) for step, value in pairs if value is not None and math.isfinite(value)]

    @cached_property
    def results(self) -> Mapping[str, Any]:
        """metrics.json."""
        if not self.run.metrics_file.exists():
            raise NotExamined("the run was not evaluated yet")
        results: Mapping[str, Any] = read_json(self.run.metrics_file)
        return results

    @property
    def comparisons(self) -> Mapping[str, Mapping[str, Any]]:
        """The comparisons of the deciding split, by way of asking, the deciding one first."""
        primary = self.results["primary"]
        modes: Mapping[str, Mapping[str, Any]] = self.results["results"][primary["split"]]
        return {primary["mode"]: modes[primary["mode"]]} | dict(modes)

    def answers(self, mode: str) -> Iterator[Mapping[str, Any]]:
        """The tuned model's lines of predictions.jsonl, asked in one way about the deciding split."""
        if not self.run.predictions_file.exists():
            raise NotExamined("the run has no predictions")
        split = self.results["primary"]["split"]
        with self.run.predictions_file.open(encoding="utf-8") as file:
            for text in file:
                line = json.loads(text)
                if (line["model"], line["split"], line["mode"]) == ("tuned", split, mode):
                    yield line

    @cached_property
    def ledger(self) -> Summary:
        """The ledger in numbers."""
        if not self.run.ledger_file.exists():
            raise NotExamined("the run has no ledger")
        return summarise(self.run.ledger_file)

    @cached_property
    def label_rows(self) -> Mapping[str, int]:
        """Training rows of every label; none for free answers."""
        rows: Mapping[str, int] = self.record.get("data", {}).get("label_rows", {})
        return rows

    @cached_property
    def form(self) -> Form:
        """How answers are to be read."""
        return form_of(registry.load("task", self.config.task.name)(self.config.task))

    @property
    def balancing(self) -> dict[str, Any]:
        """What makes rare labels count as much as common ones, where it is not done yet: keys with their values."""
        evaluation = self.config.evaluation
        change: dict[str, Any] = {}
        if self.config.data.balance is None and self.form == "plain":
            change["data.balance"] = "oversample"
        if evaluation.best == "auto" and "f1_macro" in evaluation.metrics:
            change["evaluation.best"] = "f1_macro"
        return change

    @cached_property
    def prepared(self) -> Prepared:
        """The rows as they were trained on."""
        digest = Origins.recorded(self.run).data
        found = Prepared.cached(cache_folder() / "prepared", digest) if digest else None
        if found is None:
            raise NotExamined(
                "the prepared rows are not in the cache; `luthier plan` with the run's config.yaml brings them back"
            )
        return found

    @cached_property
    def method(self) -> Method:
        """The tuning method."""
        method: Method = registry.load("method", self.config.method.name)(self.config.method)
        return method

    @cached_property
    def usual_rates(self) -> tuple[float, float, str]:
        """(low, high, who says so) of the learning rates people use with this method on a model of this size."""
        if not self.record.get("parameters"):
            raise NotExamined("the run has not begun to train")
        return self.method.usual_learning_rates(self.record["parameters"])

    @property
    def usual_rate(self) -> float:
        """The middle of that range."""
        return middle_rate(self.method, self.record["parameters"])


def mean(values: Sequence[float]) -> float:
    """The mean of at least one number."""
    return sum(values) / len(values)
