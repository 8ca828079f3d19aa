"""Share of the variance that is explained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ratio
from luthier.evaluation.metrics._numbers import NumberMetric, numbers, spread
from luthier.tasks import Prediction


class R2(NumberMetric):
    """Coefficient of determination: 1 is perfect, 0 is no better than the mean of these very rows, below is worse.

    Where all expected numbers are the same there is no variance to explain, and it is 0.
    """

    title = "R²"

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 4]: squared error, then the expected number less the mean of all rows, its square, and one."""
        expected, answered = numbers(predictions)
        centred = expected - expected.mean()
        return np.stack([(answered - expected) ** 2, centred, centred**2, np.ones_like(expected)], axis=1)

    def from_totals(self, totals_k: Floats) -> Floats:
        """1 - errors / variance."""
        errors, total, squares, rows = np.moveaxis(totals_k, -1, 0)
        variance = spread(total, squares, rows)
        return ratio(variance - rows * errors, variance)
