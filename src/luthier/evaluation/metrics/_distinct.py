"""What the Distinct metrics share (Li et al. 2016, "A Diversity-Promoting Objective Function for Neural Conversation
Models").
"""

from __future__ import annotations

from abc import ABC
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ratio
from luthier.evaluation.metrics._free import AnswerMetric, grams
from luthier.evaluation.text import words
from luthier.tasks import Prediction


class Distinct(AnswerMetric, ABC):
    """Different n-grams over n-grams, of all answers together: low where a model always says the same.

    The more text, the lower it is: compare models on the same rows. An n-gram of several answers is shared out among
    them. Counted anew in every resample, rows drawn twice would pass for repetition, and every interval would lie below
    the value.
    """

    n: ClassVar[int]

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: the row's part of the different n-grams, its n-grams."""
        found = [grams(words(row.raw), self.n) for row in predictions]
        answers = Counter(gram for row in found for gram in row)
        rows = [[sum(1 / answers[gram] for gram in row), row.total()] for row in found]
        return np.array(rows, dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Different over all."""
        return ratio(totals_k[..., 0], totals_k[..., 1])
