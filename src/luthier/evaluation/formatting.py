"""Scores as people read them, the same in sentences, terminals and reports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from luthier.evaluation.statistics import RESAMPLES
from luthier.languages import tell
from luthier.tasks import Form, names_in

BASELINES = {
    "majority": "Commonest label",
    "tfidf": "TF-IDF + logistic regression",
    "few_shot": "Base, few-shot",
    "commonest_labels": "Commonest labels",
    "tfidf_labels": "TF-IDF + logistic regression",
    "mean": "Mean",
    "tfidf_ridge": "TF-IDF + ridge regression",
    "word_tags": "Each word's commonest tag",
    "shorter": "The shorter answer",
    "always_up": "Always up",
    "last_move": "The last move again",
    "tfidf_moves": "TF-IDF and moves + logistic regression",
}
"""What the baselines are called."""

MODES = {
    "labels": "labels scored",
    "generate": "answers generated",
    "likelihood": "likelihood measured",
    "head": "classification head",
    "preference": "answers compared",
}
"""What the ways of asking are called."""


def number(value: float) -> str:
    """Three decimals below ten, one up to a thousand, none above: 0.969, 34.2, 1204."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    return f"{value:.3f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:.0f}"


def signed(value: float) -> str:
    """A difference with its sign: +0.355, −0.012."""
    return ("+" if value >= 0 else "−") + number(abs(value))


def span(score: Mapping[str, Any], sign: bool = False) -> str:
    """The interval: 0.941 to 0.987."""
    form = signed if sign else number
    return tell("{low} to {high}", low=form(score["low"]), high=form(score["high"]))


def p_value(p: float) -> str:
    """p = 0.014; the smallest that the bootstrap can show becomes p ≤ 0.002. Its spaces do not break."""
    return "p\u00a0≤\u00a00.002" if p <= 2 / RESAMPLES else f"p\u00a0=\u00a0{p:.3f}"


def share(value: float) -> str:
    """A share in per cent: 3.1 %."""
    return f"{100 * value:.1f}\u00a0%"


def readable(text: str, answer: str, form: Form) -> str:
    """An answer as people read it: tags behind the words that have one (`Nokia/B-ORG rose`), "none" for no label."""
    if form == "labels":
        return answer or tell("none")
    words, tags = text.split(" "), names_in(answer, form)
    if form != "tags" or len(words) != len(tags):
        return answer
    return " ".join(word if tag == "O" else f"{word}/{tag}" for word, tag in zip(words, tags, strict=True))
