"""Share of free answers that say exactly what was expected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._free import FreeMetric
from luthier.evaluation.text import normalise
from luthier.tasks import Prediction


class ExactMatch(FreeMetric):
    """Answers equal to the expected text, apart from case, spacing, character width and marks at the ends."""

    title = "exact match"

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: equal, one."""
        equal = [normalise(row.raw) == normalise(row.expected or "") for row in predictions]
        return np.array([[same, 1] for same in equal], dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Equal over all."""
        share: Floats = totals_k[..., 0] / totals_k[..., 1]
        return share
