"""Matthews' correlation of the directions that were forecast and those that came."""

from __future__ import annotations

from luthier.evaluation.metrics._forecasts import DirectionMetric
from luthier.evaluation.metrics.mcc import Mcc


class DirectionMcc(DirectionMetric, Mcc):
    """Matthews' correlation of directions, 0 for always the same one; answers without a forecast are a class."""

    title = "Matthews correlation of directions"
