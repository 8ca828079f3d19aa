"""How far numbers are from the right ones, large errors counting more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._numbers import NumberMetric, numbers
from luthier.tasks import Prediction


class Rmse(NumberMetric):
    """Square root of the mean squared error, in the unit of the numbers."""

    title = "root mean square error"
    higher_is_better = False

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: squared error, one."""
        expected, answered = numbers(predictions)
        return np.stack([(answered - expected) ** 2, np.ones_like(expected)], axis=1)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Square root of errors over rows."""
        error: Floats = np.sqrt(totals_k[..., 0] / totals_k[..., 1])
        return error
