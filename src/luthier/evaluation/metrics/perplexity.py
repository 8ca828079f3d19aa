"""How many tokens the model hesitates between, on average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics.loss import Loss
from luthier.tasks import Prediction


class Perplexity(Loss):
    """e to the power of the loss per token, of free answers and documents."""

    title = "perplexity"

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether there are no labels and the loss of every row was measured."""
        return not labels and super().applies(predictions, labels)

    def from_totals(self, totals_k: Floats) -> Floats:
        """exp(nats / tokens)."""
        perplexity: Floats = np.exp(super().from_totals(totals_k))
        return perplexity
