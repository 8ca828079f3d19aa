"""How long answers are beside the right ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ratio
from luthier.evaluation.metrics._free import FreeMetric
from luthier.evaluation.text import words
from luthier.tasks import Prediction


class LengthRatio(FreeMetric):
    """Words of all answers over those of the right ones; Chinese in characters. 1 is as long, neither side better."""

    title = "length ratio"
    higher_is_better = None

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: words of the answer, words of the right one."""
        rows = [[len(words(row.raw)), len(words(row.expected or ""))] for row in predictions]
        return np.array(rows, dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Answered over expected."""
        return ratio(totals_k[..., 0], totals_k[..., 1])
