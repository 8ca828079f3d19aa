"""How long answers are."""

from __future__ import annotations

from luthier.evaluation.metrics._free import AnswerMetric, RowMean
from luthier.evaluation.text import words


class AnswerLength(RowMean, AnswerMetric):
    """Words of an answer, mean of all; Chinese in characters. Neither more nor less is better."""

    title = "answer length"
    higher_is_better = None

    def of(self, answer: str, expected: str) -> float:
        """Its words."""
        return len(words(answer))
