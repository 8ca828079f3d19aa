"""ROUGE-2: pairs of words that an answer shares with the right one."""

from __future__ import annotations

from luthier.evaluation.metrics._rouge import RougeN


class Rouge2(RougeN):
    """F-measure of shared pairs of words, mean of all rows; Chinese counts in characters."""

    title = "ROUGE-2"
    n = 2
