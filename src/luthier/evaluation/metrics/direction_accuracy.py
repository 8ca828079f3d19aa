"""Share of forecasts with the right direction."""

from __future__ import annotations

from luthier.evaluation.metrics._forecasts import DirectionMetric
from luthier.evaluation.metrics.accuracy import Accuracy


class DirectionAccuracy(DirectionMetric, Accuracy):
    """Forecasts with the right direction over all rows; an answer without a forecast is a wrong one."""

    title = "direction accuracy"
