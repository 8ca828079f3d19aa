"""Mean F1 of the classes, each counted alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ClassMetric, class_codes, f1_of
from luthier.tasks import Prediction


class F1Macro(ClassMetric):
    """Unweighted mean of the per-class F1. A class that is neither expected nor answered is not part of the mean."""

    title = "macro F1"

    def from_totals(self, totals_k: Floats) -> Floats:
        """Mean of 2 hits / (answers + support)."""
        f1, _ = f1_of(totals_k)
        mean: Floats = np.nanmean(f1, axis=-1)
        return mean

    def value(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> float:
        """By scikit-learn's `f1_score(average="macro")`."""
        from sklearn.metrics import f1_score

        classes, expected, answered = class_codes(predictions, labels)
        numbers = range(len(classes))
        return float(f1_score(expected, answered, labels=numbers, average="macro", zero_division=np.nan))
