"""Share of words with the right tag."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats, Metric
from luthier.evaluation.metrics._tags import tagged
from luthier.tasks import Prediction, names_in


class TagAccuracy(Metric):
    """Words with the right tag over all words. Where most words are outside of entities, it is high for nothing."""

    title = "tag accuracy"

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether words are tagged."""
        return tagged(predictions)

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: right tags, words."""
        pairs = [(names_in(row.expected or "", "tags"), names_in(row.parsed or "", "tags")) for row in predictions]
        rows = [[sum(map(str.__eq__, expected, answered)), len(expected)] for expected, answered in pairs]
        return np.array(rows, dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Right over all."""
        share: Floats = totals_k[..., 0] / totals_k[..., 1]
        return share
