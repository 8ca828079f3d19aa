"""Runs over windows that follow each other: the score of every window, and of all their answers together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from luthier import registry
from luthier.errors import ConfigError
from luthier.evaluation.comparison import compare
from luthier.evaluation.results import primary, read_answers
from luthier.evaluation.statistics import Difference, Interval
from luthier.runs import Run
from luthier.runs.files import read_json
from luthier.tasks import Prediction, form_of
from luthier.training.walk_forward import Window


@dataclass(frozen=True)
class Scores:
    """How one window went, or all of them together.

    Attributes:
        rows: tested rows.
        tuned: score of the tuned model.
        base: of its untuned base; None when it has none.
        difference: tuned minus base.
        baselines: of simpler ways of answering, by name.
    """

    rows: int
    tuned: Interval
    base: Interval | None
    difference: Difference | None
    baselines: dict[str, Interval]

    @classmethod
    def of(cls, comparison: Mapping[str, Any], metric: str) -> Scores:
        """From a comparison of `luthier.evaluation.comparison`."""
        return cls(
            comparison["rows"],
            comparison["tuned"][metric],
            (comparison["base"] or {}).get(metric),
            (comparison["difference"] or {}).get(metric),
            {name: scores[metric] for name, scores in comparison["baselines"].items() if metric in scores},
        )


@dataclass(frozen=True)
class WalkForward:
    """Windows side by side.

    Attributes:
        metric: the deciding metric, as sentences call it.
        windows: each with its run and its scores.
        pooled: of all answers together, with an interval over all rows.
        comparison: of all answers together by every metric, see `luthier.evaluation.comparison.compare`.
    """

    metric: str
    windows: list[tuple[Window, str, Scores]]
    pooled: Scores
    comparison: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "metric": self.metric,
            "windows": [
                window.to_dict() | {"run": run, "scores": asdict(scores)} for window, run, scores in self.windows
            ],
            "pooled": asdict(self.pooled),
            "comparison": self.comparison,
        }


def walk_forward(windows: Sequence[Window], runs: Sequence[Run]) -> WalkForward:
    """Reads the runs of windows and scores their answers together.

    Raises:
        ConfigError: they have no score in common, or one has no test row left.
    """
    results = [read_json(run.metrics_file) for run in runs]
    first = results[0]["primary"]
    metric = first["metric"]
    for window, found in zip(windows, results, strict=True):
        if found["primary"]["split"] != "test":
            raise ConfigError(
                f"window {window.number} has no test row left", hint="its ledger says what became of them"
            )
        if metric is None or found["primary"] != first:
            raise ConfigError(
                "the windows have no score in common", hint="name evaluation.metrics and evaluation.modes"
            )
    each = [Scores.of(primary(found), metric) for found in results]
    answers = {name: _pooled(name, runs, results) for name in _models(results)}
    labels = list(dict.fromkeys(label for run in runs for label in run.record["data"]["labels"]))
    baselines = {name: given for name, given in answers.items() if name not in ("tuned", "base")}
    config = runs[0].config
    metrics = list(dict.fromkeys([metric, *config.evaluation.metrics]))
    together = compare(answers.get("base"), answers["tuned"], baselines, metrics, labels, config.training.seed)
    rows = [(window, str(run.path), scores) for window, run, scores in zip(windows, runs, each, strict=True)]
    return WalkForward(together["metrics"][metric]["title"], rows, Scores.of(together, metric), together)


def _models(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """The models that every window asked."""
    asked = [
        {"tuned", *(["base"] if primary(found)["base"] else []), *primary(found)["baselines"]} for found in results
    ]
    return sorted(set.intersection(*asked))


def _pooled(model: str, runs: Sequence[Run], results: Sequence[Mapping[str, Any]]) -> list[Prediction]:
    """A model's answers in all windows, numbered through."""
    found: list[Prediction] = []
    for run, result in zip(runs, results, strict=True):
        where = result["primary"]
        config = run.config
        form = form_of(registry.load("task", config.task.name)(config.task))
        found += read_answers(run.predictions_file, model, where["split"], where["mode"], form)
    return [replace(answer, row_id=number) for number, answer in enumerate(found)]
