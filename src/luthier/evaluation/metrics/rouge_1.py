"""ROUGE-1: single words that an answer shares with the right one."""

from __future__ import annotations

from luthier.evaluation.metrics._rouge import RougeN


class Rouge1(RougeN):
    """F-measure of shared single words, mean of all rows; Chinese counts in characters."""

    title = "ROUGE-1"
    n = 1
