"""Finished runs side by side: what each reached and what it took, from nothing but their folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from luthier import registry
from luthier.config import RunConfig
from luthier.errors import ConfigError
from luthier.evaluation.comparison import compare
from luthier.evaluation.results import primary, read_answers
from luthier.evaluation.statistics import Difference, Interval
from luthier.registry import Options
from luthier.runs import Run, read_events
from luthier.runs.files import read_json, weights_mb
from luthier.tasks import Prediction, form_of


@dataclass(frozen=True)
class RunFacts:
    """A finished run in numbers.

    Attributes:
        data: digest of its rows.
        method: its name, with the options that say what it trains.
        options: all of its options.
        metric: the deciding metric, as sentences call it.
        score, base_score: of the tuned model and of its untuned base, which may have none.
        scores: all metrics of the tuned model.
        rows: test rows.
        difference: tuned model minus that of the first run, paired; None for the first, and where rows differ.
        unpaired: why there is no difference.
        artefact_mb, base_mb: weights on disk, what was trained and what it was trained on.
        peak_memory_mb: of the process while training; of the whole run for runs that did not record it.
        answer_ms, base_answer_ms: milliseconds an answer in the deciding way of asking, as the evaluation took them.
        latency: milliseconds an answer of base, unmerged and merged model, when they were measured.
    """

    run: str
    name: str
    base: str
    task: str
    data: str
    method: str
    options: dict[str, Any]
    learning_rate: float
    metric: str
    higher_is_better: bool
    score: Interval
    base_score: Interval | None
    scores: dict[str, Interval]
    rows: int
    difference: Difference | None
    unpaired: str
    trainable: int
    parameters: int
    artefact_mb: float
    base_mb: float
    training_seconds: float
    steps: int
    peak_memory_mb: float
    answer_ms: float | None
    base_answer_ms: float | None
    latency: dict[str, Any] | None
    dtype: str
    quantise: str
    engine: str

    @property
    def step_seconds(self) -> float:
        """Seconds an optimiser step."""
        return self.training_seconds / max(1, self.steps)

    @property
    def share(self) -> float:
        """Trained parameters of all."""
        return self.trainable / max(1, self.parameters)

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain values."""
        return asdict(self) | {"step_seconds": self.step_seconds, "share": self.share}


class _Finished:
    """A finished run as it is read."""

    def __init__(self, run: Run) -> None:
        self.run, self.record = run, run.record
        if self.record.get("state") != "finished" or not run.metrics_file.exists():
            raise ConfigError(
                f"the run in '{run.path}' is not finished",
                hint=f"luthier train --resume {run.path}",
            )
        self.results: Mapping[str, Any] = read_json(run.metrics_file)

    @cached_property
    def config(self) -> RunConfig:
        return self.run.config

    @property
    def metric(self) -> str:
        name = self.results["primary"]["metric"]
        if name is None:
            raise ConfigError(f"the run in '{self.run.path}' has no scores: its rows have no expected answers")
        return str(name)

    @cached_property
    def answers(self) -> list[Prediction]:
        """What the tuned model said, in an order that other runs over the same rows share."""
        where = self.results["primary"]
        form = form_of(registry.load("task", self.config.task.name)(self.config.task))
        found = read_answers(self.run.predictions_file, "tuned", where["split"], where["mode"], form)
        ordered = sorted(found, key=lambda row: (row.text, row.expected or "", row.row_id))
        return [replace(row, row_id=number) for number, row in enumerate(ordered)]

    @cached_property
    def questions(self) -> list[tuple[str, str | None]]:
        return [(row.text, row.expected) for row in self.answers]

    def facts(self, first: _Finished) -> RunFacts:
        """In numbers, compared with the first run."""
        record, comparison, metric = self.record, primary(self.results), self.metric
        steps = list(read_events(self.run.events.path, "step"))
        about = comparison["metrics"][metric]
        difference, unpaired = (None, "") if self is first else _difference(first, self)
        return RunFacts(
            run=str(self.run.path),
            name=self.config.name,
            base=record["base"]["source"],
            task=self.config.task.name,
            data=record["data"]["digest"],
            method=method_text(self.config.method),
            options=self.config.method.model_dump(mode="json"),
            learning_rate=self.config.training.learning_rate,
            metric=about["title"],
            higher_is_better=about["higher_is_better"],
            score=comparison["tuned"][metric],
            base_score=(comparison["base"] or {}).get(metric),
            scores=dict(comparison["tuned"]),
            rows=comparison["rows"],
            difference=difference,
            unpaired=unpaired,
            trainable=record["trainable"],
            parameters=record["parameters"],
            artefact_mb=round(weights_mb(self.run.adapter), 2),
            base_mb=record.get("base_mb", 0.0),
            training_seconds=steps[-1]["seconds"] if steps else record.get("training_seconds", 0.0),
            steps=steps[-1]["step"] if steps else record["steps"],
            peak_memory_mb=record.get("training_peak_mb") or record.get("peak_memory_mb", 0.0),
            answer_ms=self._answer_ms("tuned"),
            base_answer_ms=self._answer_ms("base"),
            latency=record.get("latency"),
            dtype=record["dtype"],
            quantise=record["base"].get("quantise", "none"),
            engine=record["engine"],
        )

    def _answer_ms(self, model: str) -> float | None:
        asked = self.record.get("asking", {}).get(model, {}).get(self.results["primary"]["mode"])
        return round(1000 * asked["seconds"] / asked["rows"], 2) if asked else None


def read_runs(runs: Sequence[Run]) -> list[RunFacts]:
    """Runs in numbers, in the order given; differences are to the first.

    Raises:
        ConfigError: a run is not finished, or has no scores.
    """
    finished = [_Finished(run) for run in runs]
    return [run.facts(finished[0]) for run in finished]


def method_text(options: Options) -> str:
    """A method's name with its rank and every option that differs from its default: lora (rank 16, dora true)."""
    fields = type(options).model_fields
    shown = {
        name: getattr(options, name)
        for name, field in fields.items()
        if name != "name" and (name == "rank" or getattr(options, name) != field.get_default(call_default_factory=True))
    }
    told = ", ".join(f"{name} {_short(value)}" for name, value in shown.items())
    return f"{options.name} ({told})" if told else options.name


def _short(value: Any) -> str:
    plain = value.model_dump() if hasattr(value, "model_dump") else value
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def _difference(first: _Finished, other: _Finished) -> tuple[Difference | None, str]:
    """How much better or worse the other is on the same rows, or why that cannot be told."""
    if first.questions != other.questions:
        shared = len(set(first.questions) & set(other.questions))
        return None, f"other test rows: {len(first.questions)} and {len(other.questions)}, {shared} shared"
    if first.metric != other.metric:
        return None, f"another metric: {first.metric} and {other.metric}"
    labels = first.record["data"]["labels"]
    found = compare(first.answers, other.answers, {}, [first.metric], labels, first.config.training.seed)
    difference: Difference | None = found["difference"].get(first.metric)
    return difference, "" if difference else f"{first.metric} cannot be computed from predictions.jsonl"
