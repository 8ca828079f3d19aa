"""Spearman's correlation of expected and answered numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._numbers import Correlation, moments, numbers
from luthier.tasks import Prediction


class Spearman(Correlation):
    """How well the answers keep the order of the expected numbers, -1 to 1: Pearson's correlation of their ranks.

    Ranks are those among all rows, also in a resample: the interval leaves out what ranking anew would change.
    """

    title = "Spearman correlation"

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 6]: the moments of the ranks; equal numbers share the mean of theirs."""
        from scipy.stats import rankdata

        expected, answered = numbers(predictions)
        return moments(np.asarray(rankdata(expected)), np.asarray(rankdata(answered)))
