"""Share of answers that forecast something."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.data.market.forecasts import read_forecast
from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._forecasts import ForecastMetric
from luthier.tasks import Prediction


class ValidForecasts(ForecastMetric):
    """Answers that name one direction with a range, over all answers."""

    title = "valid forecasts"

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: valid, one."""
        return np.array([[read_forecast(row.raw) is not None, 1] for row in predictions], dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Valid over all."""
        share: Floats = totals_k[..., 0] / totals_k[..., 1]
        return share
