"""Share of answers that say exactly what was expected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._free import FreeMetric
from luthier.evaluation.text import normalise
from luthier.tasks import Prediction


class ExactMatch(FreeMetric):
    """Answers equal to the expected text, apart from case, spacing, character width and marks at the ends.

    Of several labels, or of tags, every one must be right.
    """

    title = "exact match"

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether every row has a right answer, free or made of several parts."""
        if any(row.form in ("labels", "tags") for row in predictions):
            return all(row.expected is not None for row in predictions)
        return super().applies(predictions, labels)

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: equal, one."""
        equal = [
            normalise(row.raw) == normalise(row.expected or "") if row.form == "plain" else row.parsed == row.expected
            for row in predictions
        ]
        return np.array([[same, 1] for same in equal], dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Equal over all."""
        share: Floats = totals_k[..., 0] / totals_k[..., 1]
        return share
