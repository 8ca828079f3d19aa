"""Distinct-2: how many different pairs of words there are in the answers."""

from __future__ import annotations

from luthier.evaluation.metrics._distinct import Distinct


class Distinct2(Distinct):
    """Different pairs of words over all of them, in all answers together; Chinese counts in characters."""

    title = "Distinct-2"
    n = 2
