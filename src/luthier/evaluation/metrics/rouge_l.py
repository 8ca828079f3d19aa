"""ROUGE-L: the longest common subsequence of words."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.evaluation.metrics._rouge import Rouge, longest_common


class RougeL(Rouge):
    """F-measure of the longest common subsequence of words, mean of all rows; Chinese counts in characters.

    A text is one sequence, as `rougeL` of `rouge-score` has it, not one for each line (`rougeLsum`).
    """

    title = "ROUGE-L"

    def overlap(self, answer: Sequence[str], expected: Sequence[str]) -> tuple[int, int, int]:
        """Its length, the words of the answer, those of the right one."""
        return longest_common(answer, expected), len(answer), len(expected)
