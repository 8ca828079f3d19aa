"""How far numbers are from the right ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._numbers import NumberMetric, numbers
from luthier.tasks import Prediction


class Mae(NumberMetric):
    """Mean of the absolute errors, in the unit of the numbers."""

    title = "mean absolute error"
    higher_is_better = False

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: absolute error, one."""
        expected, answered = numbers(predictions)
        return np.stack([np.abs(answered - expected), np.ones_like(expected)], axis=1)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Errors over rows."""
        error: Floats = totals_k[..., 0] / totals_k[..., 1]
        return error
