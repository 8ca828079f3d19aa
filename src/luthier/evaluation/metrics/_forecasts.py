"""What metrics of forecasts share: answers that name a direction and a range, see `luthier.data.market.forecasts`."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from luthier.data.market.forecasts import DIRECTIONS, Forecast, read_forecast
from luthier.evaluation.metrics import Floats, Metric
from luthier.evaluation.metrics._classes import ClassMetric
from luthier.evaluation.metrics._free import written
from luthier.tasks import Prediction

BASELINES = ("always_up", "last_move", "tfidf_moves")
"""What every forecast of a price's direction is compared with."""


def are_forecasts(predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
    """Whether answers were written, and every right one is a forecast."""
    return written(predictions, labels) and all(read_forecast(row.expected or "") for row in predictions)


def forecasts(predictions: Sequence[Prediction]) -> list[tuple[Forecast, Forecast | None]]:
    """The right forecast and the answered one of each row; None where the answer is invalid."""
    found = [(read_forecast(row.expected or ""), read_forecast(row.raw)) for row in predictions]
    return [(expected, answered) for expected, answered in found if expected]


def directions(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The same answers, as labels `up` and `down`."""
    return [
        replace(row, expected=expected.direction, parsed=answered.direction if answered else None)
        for row, (expected, answered) in zip(predictions, forecasts(predictions), strict=True)
    ]


class ForecastMetric(Metric, ABC):
    """A metric of forecasts."""

    baselines: ClassVar[Sequence[str]] = BASELINES

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether answers were written, and every right one is a forecast."""
        return are_forecasts(predictions, labels)


class DirectionMetric(ClassMetric, ABC):
    """A metric of classes, of the directions that answers forecast."""

    baselines: ClassVar[Sequence[str]] = BASELINES

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether answers were written, and every right one is a forecast."""
        return are_forecasts(predictions, labels)

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """Those of the two directions."""
        return super().counts(directions(predictions), DIRECTIONS)

    def value(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> float:
        """That of the two directions."""
        return super().value(directions(predictions), DIRECTIONS)
