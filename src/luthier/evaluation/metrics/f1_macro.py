"""Mean F1 of the classes, each counted alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ClassMetric, class_codes, f1_of, ratio
from luthier.tasks import Form, Prediction


class F1Macro(ClassMetric):
    """Unweighted mean of the per-class F1. A class that is neither expected nor answered is not part of the mean."""

    title = "macro F1"
    forms: ClassVar[Sequence[Form]] = ("plain", "labels")

    def from_totals(self, totals_k: Floats) -> Floats:
        """Mean of 2 hits / (answers + support)."""
        f1, _ = f1_of(totals_k)
        return ratio(np.nansum(f1, axis=-1), (~np.isnan(f1)).sum(axis=-1))

    def value(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> float:
        """By scikit-learn's `f1_score(average="macro")`, where answers are one label each."""
        from sklearn.metrics import f1_score

        if predictions[0].form == "labels":
            return super().value(predictions, labels)
        classes, expected, answered = class_codes(predictions, labels)
        numbers = range(len(classes))
        return float(f1_score(expected, answered, labels=numbers, average="macro", zero_division=np.nan))
