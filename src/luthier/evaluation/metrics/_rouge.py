"""What the ROUGE metrics share (Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries")."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from luthier.evaluation.metrics._free import FreeMetric, RowMean, grams
from luthier.evaluation.text import words


class Rouge(RowMean, FreeMetric, ABC):
    """F-measure of what an answer shares with the right one, mean of all rows, 0 to 1; without stemming.

    Of English it is what the `rouge-score` package gives; Chinese and Japanese count in characters.
    """

    @abstractmethod
    def overlap(self, answer: Sequence[str], expected: Sequence[str]) -> tuple[int, int, int]:
        """What they share, what there is of it in the answer, and in the right one."""

    def of(self, answer: str, expected: str) -> float:
        """2 shared / (answered + expected); 0 where there is nothing."""
        shared, answered, wanted = self.overlap(words(answer), words(expected))
        return 2 * shared / (answered + wanted) if shared else 0.0


class RougeN(Rouge, ABC):
    """ROUGE of n words that follow each other."""

    n: ClassVar[int]

    def overlap(self, answer: Sequence[str], expected: Sequence[str]) -> tuple[int, int, int]:
        """Shared, answered and expected n-grams, each as often as it stands there."""
        answered, wanted = grams(answer, self.n), grams(expected, self.n)
        return (answered & wanted).total(), answered.total(), wanted.total()


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    A line of the usual table is one whole number: a bit is 0 where the table grows by one (Hyyrö 2004, "Bit-parallel
    LCS-length computation revisited").
    """
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    everywhere = (1 << len(one)) - 1
    line = everywhere
    for word in other:
        found = line & places.get(word, 0)
        line = ((line + found) | (line - found)) & everywhere
    return len(one) - line.bit_count()
