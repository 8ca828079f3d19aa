"""Distinct-3: how many different triples of words there are in the answers."""

from __future__ import annotations

from luthier.evaluation.metrics._distinct import Distinct


class Distinct3(Distinct):
    """Different triples of words over all of them, in all answers together; Chinese counts in characters."""

    title = "Distinct-3"
    n = 3
