"""Distinct-1: how many different words there are in the answers."""

from __future__ import annotations

from luthier.evaluation.metrics._distinct import Distinct


class Distinct1(Distinct):
    """Different words over all of them, in all answers together; Chinese counts in characters."""

    title = "Distinct-1"
    n = 1
