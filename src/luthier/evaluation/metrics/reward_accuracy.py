"""How often the better of two answers gets the higher reward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats, Metric
from luthier.tasks import CHOSEN, Prediction


class RewardAccuracy(Metric):
    """Pairs whose better answer is preferred, over all pairs; equal rewards prefer neither and count as wrong."""

    title = "reward accuracy"

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether every row is a better and a worse answer to choose between."""
        return not labels and bool(predictions) and all(row.expected == CHOSEN for row in predictions)

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: preferred, one."""
        return np.array([[row.parsed == CHOSEN, 1] for row in predictions], dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Preferred over all."""
        share: Floats = totals_k[..., 0] / totals_k[..., 1]
        return share
