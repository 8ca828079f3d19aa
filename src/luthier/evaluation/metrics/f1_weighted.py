"""Mean F1 of the classes, each weighted by how often it is expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ClassMetric, class_codes, f1_of, ratio
from luthier.tasks import Form, Prediction


class F1Weighted(ClassMetric):
    """Mean of the per-class F1, weighted by support: the number most financial sentiment papers report."""

    title = "weighted F1"
    forms: ClassVar[Sequence[Form]] = ("plain", "labels")

    def from_totals(self, totals_k: Floats) -> Floats:
        """Support-weighted mean of 2 hits / (answers + support)."""
        f1, support = f1_of(totals_k)
        return ratio(np.nansum(f1 * support, axis=-1), support.sum(axis=-1))

    def value(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> float:
        """By scikit-learn's `f1_score(average="weighted")`, where answers are one label each."""
        from sklearn.metrics import f1_score

        if predictions[0].form == "labels":
            return super().value(predictions, labels)
        classes, expected, answered = class_codes(predictions, labels)
        numbers = range(len(classes))
        return float(f1_score(expected, answered, labels=numbers, average="weighted", zero_division=np.nan))
