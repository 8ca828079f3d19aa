"""How far numbers are from the right ones, as a share of these."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._numbers import NumberMetric, numbers
from luthier.tasks import Prediction


class Mape(NumberMetric):
    """Mean of |error| / |right number|, as scikit-learn has it; of no use where right numbers are near zero."""

    title = "mean absolute percentage error"
    higher_is_better = False

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: relative error, one."""
        expected, answered = numbers(predictions)
        size = np.maximum(np.abs(expected), np.finfo(np.float64).eps)
        return np.stack([np.abs(answered - expected) / size, np.ones_like(expected)], axis=1)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Errors over rows."""
        error: Floats = totals_k[..., 0] / totals_k[..., 1]
        return error
