"""How many tokens the model hesitates between, on average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics.loss import Loss
from luthier.tasks import Prediction


class Perplexity(Loss):
    """e to the power of the loss per token."""

    title = "perplexity"

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether the loss of every row was measured, on text: of two answers to choose from there is none."""
        choices = any((row.scores and not labels) or row.form != "plain" for row in predictions)
        return not choices and super().applies(predictions, labels)

    def from_totals(self, totals_k: Floats) -> Floats:
        """exp(nats / tokens)."""
        perplexity: Floats = np.exp(super().from_totals(totals_k))
        return perplexity
