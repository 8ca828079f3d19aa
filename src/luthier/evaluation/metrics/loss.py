"""Negative log-likelihood of the expected answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats, Metric
from luthier.tasks import Prediction


class Loss(Metric):
    """Nats per token of the expected answers, over all rows together: per word of a tagger, per row for any other head,
    and the mean squared error where the answer is a number.
    """

    title = "loss"
    higher_is_better = False

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether the loss of every row was measured."""
        return any(row.tokens for row in predictions) and all(row.loss is not None for row in predictions)

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: summed nats, tokens."""
        return np.array([[row.loss, row.tokens] for row in predictions], dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Nats over tokens."""
        mean: Floats = totals_k[..., 0] / totals_k[..., 1]
        return mean
