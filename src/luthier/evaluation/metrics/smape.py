"""How far numbers are from the right ones, as a share of both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ratio
from luthier.evaluation.metrics._numbers import NumberMetric, numbers
from luthier.tasks import Prediction


class Smape(NumberMetric):
    """Mean of 2 |error| / (|right number| + |answer|), 0 to 2 (Makridakis 1993); 0 where both are zero."""

    title = "symmetric percentage error"
    higher_is_better = False

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: relative error, one."""
        expected, answered = numbers(predictions)
        error = ratio(2 * np.abs(answered - expected), np.abs(expected) + np.abs(answered))
        return np.stack([error, np.ones_like(expected)], axis=1)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Errors over rows."""
        error: Floats = totals_k[..., 0] / totals_k[..., 1]
        return error
