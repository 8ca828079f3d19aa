"""What metrics of answers that are numbers share."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats, Metric
from luthier.evaluation.metrics._classes import ratio
from luthier.tasks import Prediction


class NumberMetric(Metric, ABC):
    """A metric of expected and answered numbers."""

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether the answers are numbers, and the right ones are known."""
        known = all(row.form == "number" and row.expected is not None for row in predictions)
        return bool(predictions) and known


class Correlation(NumberMetric, ABC):
    """Pearson's correlation of two numbers of each row; 0 where one of them is the same in all rows."""

    def from_totals(self, totals_k: Floats) -> Floats:
        """Covariance over the product of the deviations, from totals of (x, y, x^2, y^2, xy, 1)."""
        x, y, xx, yy, xy, n = np.moveaxis(totals_k, -1, 0)
        return ratio(n * xy - x * y, np.sqrt(spread(x, xx, n) * spread(y, yy, n)))


def spread(total: Floats, squares: Floats, n: Floats) -> Floats:
    """n times the sum of squared deviations, from n numbers' total and that of their squares; 0 for mere rounding."""
    found = n * squares - total**2
    apart: Floats = np.where(found > 1e-12 * n * squares, found, 0.0)
    return apart


def moments(x_n: Floats, y_n: Floats) -> Floats:
    """[n, 6]: x, y, x^2, y^2, xy, one. Both are centred first, which changes no correlation but keeps it exact."""
    x_n, y_n = x_n - x_n.mean(), y_n - y_n.mean()
    return np.stack([x_n, y_n, x_n**2, y_n**2, x_n * y_n, np.ones_like(x_n)], axis=1)


def numbers(predictions: Sequence[Prediction]) -> tuple[Floats, Floats]:
    """Expected and answered numbers, each [n]."""
    expected = np.array([float(row.expected or 0) for row in predictions])
    answered = np.array([float(row.parsed or 0) for row in predictions])
    return expected, answered
