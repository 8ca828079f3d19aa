"""Metrics, one file each. A file NAME.py has a class named in CamelCase, derived from `Metric`.

A metric is written as additive counts per row and a formula over their totals. That is what makes intervals cheap: a
bootstrap resample is a weighted sum of the rows' counts, so a thousand resamples are one matrix product.

    predictions --counts--> [rows, k] --sum over rows, or over a resample--> [..., k] --from_totals--> [...]

Shapes: n = rows, k = counts a row, ... = any number of leading dimensions (resamples).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from luthier import registry
from luthier.tasks import Prediction

Floats = npt.NDArray[np.float64]


class Metric(ABC):
    """A number over a set of answers. An invalid answer counts as wrong, it is never left out."""

    title: ClassVar[str]
    """As it stands in a sentence: "macro F1", "loss"."""
    higher_is_better: ClassVar[bool | None] = True
    """None where neither is better, such as a length."""
    baselines: ClassVar[Sequence[str]] = ()
    """Names in `luthier.evaluation.baselines` of what it is compared with, where the task itself has nothing."""

    @abstractmethod
    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether the metric can be computed; `labels` are the allowed ones, none for free answers.

        It goes by the rows and the way of asking, not by what was answered: training relies on it beforehand.
        """

    @abstractmethod
    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """What each row adds, [n, k]."""

    @abstractmethod
    def from_totals(self, totals_k: Floats) -> Floats:
        """The metric of summed counts, [..., k] -> [...]."""

    def value(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> float:
        """The metric of all rows. Overridden where a reference implementation gives it; both must agree."""
        return float(self.from_totals(self.counts(predictions, labels).sum(axis=0)))

    def signature(self, predictions: Sequence[Prediction]) -> str | None:
        """How it was computed, for those who compare with other papers; None where its name says all."""
        return None


USUAL = (
    ("reward_accuracy", "reward_margin"),
    ("entity_f1", "entity_precision", "entity_recall", "tag_accuracy", "rmse", "mae", "pearson", "spearman", "r2"),
    ("exact_match", "token_f1", "rouge_l", "chrf", "length_ratio"),
)
"""What is told where nothing that was asked for applies: the first of these groups of which something does."""

ALWAYS = ("invalid", "loss", "ece", "perplexity")
"""What is told of all answers, where it applies; the last one only of answers without labels."""


def applicable(names: Sequence[str], predictions: Sequence[Prediction], labels: Sequence[str]) -> dict[str, Metric]:
    """The metrics to report of such answers, by name: those asked for that apply, first, then what is always told.

    Always told are the share of invalid answers, the loss, of scored labels the calibration error and, without labels,
    the perplexity; of answers that name several labels also micro F1 and the exact match. Where nothing was asked that
    applies, pairs get the accuracy and the margin of their rewards, tagged words the scores of entities, numbers errors
    and correlations, free answers exact match, shared words and length.
    """

    def applying(candidates: Iterable[str]) -> dict[str, Metric]:
        metrics: dict[str, Metric] = {name: registry.load("metric", name)() for name in candidates}
        return {name: metric for name, metric in metrics.items() if metric.applies(predictions, labels)}

    groups = map(applying, (names, *USUAL))
    chosen = next((group for group in groups if group), {})
    several = ("f1_micro", "exact_match") if predictions and predictions[0].form == "labels" else ()
    always = ALWAYS[:-1] if labels else ALWAYS
    return chosen | applying(name for name in (*several, *always) if name not in chosen)
