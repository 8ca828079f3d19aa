"""One set of rows, several models: scores with intervals, and what tuning changed, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from luthier.evaluation.classification import confusion, per_class
from luthier.evaluation.metrics import Floats, Metric, applicable
from luthier.evaluation.metrics._classes import class_codes
from luthier.evaluation.metrics.ece import Ece, reliability
from luthier.evaluation.statistics import Difference, Interval, bootstrap_totals, interval, mcnemar, paired_difference
from luthier.tasks import Prediction

Scores = dict[str, Interval]
Differences = dict[str, Difference]


class _Scorer:
    """Scores of several models over the same rows, from one bootstrap that all of them share."""

    def __init__(
        self, models: Mapping[str, Sequence[Prediction]], metrics: Sequence[str], labels: Sequence[str], seed: int
    ):
        self.metrics: dict[str, dict[str, Metric]] = {}
        self.values: dict[tuple[str, str], float] = {}
        counts: dict[tuple[str, str], Floats] = {}
        for model, predictions in models.items():
            self.metrics[model] = applicable(metrics, predictions, labels)
            for name, metric in self.metrics[model].items():
                self.values[model, name] = metric.value(predictions, labels)
                counts[model, name] = metric.counts(predictions, labels)
        totals = bootstrap_totals(counts, seed) if counts else {}
        self.resampled = {
            (model, name): self.metrics[model][name].from_totals(totals_rk)
            for (model, name), totals_rk in totals.items()
        }

    def scores(self, model: str) -> Scores:
        """Each metric of a model with its interval."""
        return {name: interval(self.values[model, name], self.resampled[model, name]) for name in self.metrics[model]}

    def margins(self, model: str, other: str) -> Differences:
        """Each metric of a model minus that of another one, where both have it."""
        shared = [name for name in self.metrics[model] if name in self.metrics[other]]
        return {
            name: paired_difference(
                self.values[model, name] - self.values[other, name],
                self.resampled[model, name] - self.resampled[other, name],
            )
            for name in shared
        }


def compare(
    base: Sequence[Prediction] | None,
    tuned: Sequence[Prediction],
    baselines: Mapping[str, Sequence[Prediction]],
    metrics: Sequence[str],
    labels: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """Scores the tuned model beside its base and the baselines, all on the same rows in the same order.

    Args:
        base: the untuned model's answers; None when it cannot give any, such as a classifier whose head is new.
        tuned: the tuned model's answers.
        baselines: answers of simpler ways, by name (majority, tfidf, few_shot).
        metrics: names of the metrics asked for; those that do not apply are left out.
        labels: the allowed labels; none for free answers.
        seed: seed of the bootstrap.

    Returns:
        rows; form, how answers are read; metrics as {name: {title, higher_is_better}}, with a signature where one is
        needed; base (None without one), tuned and each of baselines as {metric: {value, low, high}}; difference (tuned
        minus base) and margins (tuned minus each baseline) as {metric: {value, low, high, p}}; where an answer is one
        label also classes, per_class, confusion and, with a base, mcnemar; where labels were scored also reliability.

    Raises:
        ValueError: the answers are not about the same rows.
    """
    models = {"tuned": tuned} | ({"base": base} if base is not None else {})
    others = {f"baseline {name}": answers for name, answers in baselines.items()}
    rows = [row.row_id for row in tuned]
    for name, answers in (models | others).items():
        if [row.row_id for row in answers] != rows:
            raise ValueError(f"the answers of '{name}' are not about the same rows as those of the tuned model")
    scorer = _Scorer(models | others, metrics, labels, seed)
    result: dict[str, Any] = {
        "rows": len(rows),
        "form": tuned[0].form if tuned else "plain",
        "metrics": {name: _facts(metric, tuned) for name, metric in scorer.metrics["tuned"].items()},
        "base": scorer.scores("base") if base is not None else None,
        "tuned": scorer.scores("tuned"),
        "difference": scorer.margins("tuned", "base") if base is not None else None,
        "baselines": {name: scorer.scores(f"baseline {name}") for name in baselines},
        "margins": {name: scorer.margins("tuned", f"baseline {name}") for name in baselines},
    }
    if rows and labels and all(row.expected is not None and row.form == "plain" for row in tuned):
        result |= _classes(models, labels)
    if scored := {name: answers for name, answers in models.items() if Ece().applies(answers, labels)}:
        result["reliability"] = {name: reliability(answers, labels) for name, answers in scored.items()}
    return result


def _facts(metric: Metric, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """What tables need to know of a metric."""
    signature = metric.signature(predictions)
    facts: dict[str, Any] = {"title": metric.title, "higher_is_better": metric.higher_is_better}
    return facts | ({"signature": signature} if signature else {})


def _classes(models: Mapping[str, Sequence[Prediction]], labels: Sequence[str]) -> dict[str, Any]:
    """Class by class for the base and the tuned model, and McNemar's test between them."""
    classes, expected, tuned_answers = class_codes(models["tuned"], labels)
    result: dict[str, Any] = {
        "classes": classes,
        "per_class": {name: per_class(answers, labels) for name, answers in models.items()},
        "confusion": {name: confusion(answers, labels) for name, answers in models.items()},
    }
    if "base" in models:
        _, _, base_answers = class_codes(models["base"], labels)
        result["mcnemar"] = mcnemar(np.equal(base_answers, expected), np.equal(tuned_answers, expected))
    return result
