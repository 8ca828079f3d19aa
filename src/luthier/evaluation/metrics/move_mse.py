"""How far forecast moves are from those that came."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.data.market.forecasts import Forecast
from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._forecasts import ForecastMetric, forecasts
from luthier.tasks import Prediction


class MoveMse(ForecastMetric):
    """Mean squared error of forecast moves, each the middle of its range, in per cent squared.

    An answer without a forecast counts like the right move in the wrong direction: as no move at all it would be better
    than many forecasts.
    """

    title = "squared error of the move"
    higher_is_better = False

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: squared error, one."""
        return np.array([[_error(*pair) ** 2, 1] for pair in forecasts(predictions)], dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Errors over rows."""
        mean: Floats = totals_k[..., 0] / totals_k[..., 1]
        return mean


def _error(expected: Forecast, answered: Forecast | None) -> float:
    return expected.middle - (answered.middle if answered else -expected.middle)
