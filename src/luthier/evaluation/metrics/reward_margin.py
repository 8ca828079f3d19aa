"""By how much the better of two answers is rewarded more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats, Metric
from luthier.tasks import CHOSEN, REJECTED, Prediction


class RewardMargin(Metric):
    """Reward of the better answer minus that of the worse one, mean of all pairs."""

    title = "reward margin"

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether both answers of every row were rewarded."""
        return bool(predictions) and all(row.scores.keys() == {CHOSEN, REJECTED} for row in predictions)

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: margin, one."""
        return np.array([[row.scores[CHOSEN] - row.scores[REJECTED], 1] for row in predictions], dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Margins over rows."""
        mean: Floats = totals_k[..., 0] / totals_k[..., 1]
        return mean
