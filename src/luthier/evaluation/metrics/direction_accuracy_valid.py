"""Share of forecasts with the right direction among those that can be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ratio
from luthier.evaluation.metrics._forecasts import ForecastMetric, forecasts
from luthier.tasks import Prediction


class DirectionAccuracyValid(ForecastMetric):
    """Forecasts with the right direction over the valid answers alone, as FinGPT-Forecaster counts; 0 without any.

    It flatters a model that answers only where it is sure, or that hardly ever answers as asked.
    """

    title = "direction accuracy of valid answers"

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: right, valid."""
        rows = [
            [answered is not None and answered.direction == expected.direction, answered is not None]
            for expected, answered in forecasts(predictions)
        ]
        return np.array(rows, dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Right over valid."""
        return ratio(totals_k[..., 0], totals_k[..., 1])
