"""Words that an answer and the right one have in common."""

from __future__ import annotations

from collections import Counter

from luthier.evaluation.metrics._free import FreeMetric, RowMean
from luthier.evaluation.text import answer_words


class TokenF1(RowMean, FreeMetric):
    """F1 of shared words whatever their order, mean of all rows, as SQuAD's evaluation has it; Chinese in characters.

    Rajpurkar et al. (2016), "SQuAD: 100,000+ Questions for Machine Comprehension of Text": no case, punctuation or
    articles. Where one of the two has no words, it is 1 if neither has any.
    """

    title = "token F1"

    def of(self, answer: str, expected: str) -> float:
        """2 shared / (answered + expected)."""
        answered, wanted = Counter(answer_words(answer)), Counter(answer_words(expected))
        if not answered or not wanted:
            return float(answered == wanted)
        return 2 * (answered & wanted).total() / (answered.total() + wanted.total())
