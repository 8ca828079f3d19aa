"""Share of answers that are none of the allowed labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats, Metric
from luthier.tasks import Prediction


class Invalid(Metric):
    """Answers in which no allowed label was understood, over all answers."""

    title = "invalid answers"
    higher_is_better = False

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether there are labels, and one is to be hit."""
        return bool(labels) and bool(predictions) and predictions[0].form == "plain"

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: invalid, one."""
        return np.array([[row.parsed is None, 1] for row in predictions], dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Invalid over all."""
        share: Floats = totals_k[..., 0] / totals_k[..., 1]
        return share
