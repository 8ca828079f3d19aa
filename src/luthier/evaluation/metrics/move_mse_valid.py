"""How far forecast moves are from those that came, among forecasts that can be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._forecasts import forecasts
from luthier.evaluation.metrics.move_mse import MoveMse
from luthier.tasks import Prediction


class MoveMseValid(MoveMse):
    """Mean squared error of forecast moves over the valid answers alone, as FinGPT-Forecaster counts; over all answers
    where none is valid.

    It flatters a model that answers only where it is sure, or that hardly ever answers as asked.
    """

    title = "squared error of the move of valid answers"

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 4]: squared error, one; both again, 0 where the answer is invalid."""
        every_n2 = super().counts(predictions, labels)
        valid_n = np.array([answered is not None for _, answered in forecasts(predictions)])
        return np.hstack([every_n2, every_n2 * valid_n[:, None]])

    def from_totals(self, totals_k: Floats) -> Floats:
        """Errors over valid rows, or over all."""
        every, valid = np.split(totals_k, 2, axis=-1)
        return super().from_totals(np.where(valid[..., 1:] > 0, valid, every))
