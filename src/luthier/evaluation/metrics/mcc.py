"""Matthews' correlation of expected and answered classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ClassMetric, class_codes, per_class
from luthier.tasks import Prediction


class Mcc(ClassMetric):
    """Matthews' correlation coefficient, -1 to 1, 0 for guessing; invalid answers are a class of their own.

    For more than two classes it is R_K (Gorodkin 2004, "Comparing two K-category assignments by a K-category
    correlation coefficient").
    """

    title = "Matthews correlation"

    def from_totals(self, totals_k: Floats) -> Floats:
        """(hits * rows - answers . support) / sqrt((rows^2 - answers^2) (rows^2 - support^2)); 0 when undefined."""
        hits, answered, support = per_class(totals_k)
        rows = support.sum(axis=-1)
        invalid = rows - answered.sum(axis=-1)
        covariance = hits.sum(axis=-1) * rows - (answered * support).sum(axis=-1)
        of_answers = rows**2 - (answered**2).sum(axis=-1) - invalid**2
        of_support = rows**2 - (support**2).sum(axis=-1)
        product = of_answers * of_support
        result: Floats = np.where(product > 0, covariance / np.sqrt(np.maximum(product, 1)), 0.0)
        return result

    def value(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> float:
        """By scikit-learn's `matthews_corrcoef`."""
        from sklearn.metrics import matthews_corrcoef

        _, expected, answered = class_codes(predictions, labels)
        return float(matthews_corrcoef(expected, answered))
