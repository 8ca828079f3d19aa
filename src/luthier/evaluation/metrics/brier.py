"""Squared error of the labels' probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._calibration import ProbabilityMetric, probabilities
from luthier.tasks import Prediction


class Brier(ProbabilityMetric):
    """Sum over the labels of the squared error of their probabilities, mean of all rows: 0 to 2, with two labels 0 to 1
    (Brier 1950), as scikit-learn has it.
    """

    title = "Brier score"

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: squared error, one."""
        right_nc = np.array([[label == row.expected for label in labels] for row in predictions], dtype=np.float64)
        error_n = ((probabilities(predictions, labels) - right_nc) ** 2).sum(axis=1)
        return np.stack([error_n / 2 if len(labels) == 2 else error_n, np.ones_like(error_n)], axis=1)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Errors over rows."""
        error: Floats = totals_k[..., 0] / totals_k[..., 1]
        return error
