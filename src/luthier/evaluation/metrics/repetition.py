"""How much an answer repeats itself."""

from __future__ import annotations

from luthier.evaluation.metrics._free import AnswerMetric, RowMean, grams
from luthier.evaluation.text import words

LENGTH = 4


class Repetition(RowMean, AnswerMetric):
    """Share of four words in a row that the same answer has had before, mean of all answers; Chinese in characters.

    seq-rep-4 of Welleck et al. (2020), "Neural Text Generation with Unlikelihood Training"; 0 below four words.
    """

    title = "repetition"
    higher_is_better = False

    def of(self, answer: str, expected: str) -> float:
        """1 - different / all."""
        found = grams(words(answer), LENGTH)
        return 1 - len(found) / found.total() if found else 0.0
