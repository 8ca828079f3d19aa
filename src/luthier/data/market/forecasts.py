"""Forecasts of a price's move in words, as FinGPT-Forecaster has them: how they are written, and how answers are read.

An answer stands below headings in square brackets. What it forecasts is a direction and a range of whole per cents,
`Up by 1-2%`, `Down by more than 5%`:

    [Positive Developments]: ...
    [Potential Concerns]: ...
    [Prediction & Analysis]:
    Prediction: Up by 1-2%
    Analysis: ...

Headings and ranges are those of https://github.com/AI4Finance-Foundation/FinGPT (fingpt/FinGPT_Forecaster), so that its
rows and Luthier's are read alike.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

Direction = Literal["up", "down"]

DIRECTIONS: tuple[Direction, Direction] = ("down", "up")
"""What a price can do; no move at all counts as up, as FinGPT has it."""

PREDICTION = "[Prediction & Analysis]:"
INTRODUCTION = "[Company Introduction]:"
LARGE = 5
"""Per cents beyond which all moves are one range."""

_UP = r"up|rises?|rising|rose|increas\w+|gain\w*|grow\w*|higher"
_DOWN = r"down|falls?|falling|fell|decreas\w+|declin\w+|drop\w*|lower|los\w+"
_NUMBER = r"\d+(?:\.\d+)?"
_SIZE = (
    rf"(?P<more>(?:more than|over|above|at least)\s+)?(?P<low>{_NUMBER})\s*"
    rf"(?:%?\s*(?:[-–—]|to|and)\s*(?P<high>{_NUMBER}))?"
    r"\s*(?:(?P<plus>\+\s*%|%\s*\+)|%|per\s?cent\b)"
)
_WAY = rf"(?:(?P<up>{_UP})|(?P<down>{_DOWN}))\b"
_ANY = rf"\b(?:{_UP}|{_DOWN})\b"
_OR = r"[^\w.;]{0,3}(?:(?:and|or)\b[^\w.;]{0,3}){0,2}"
_FORMS = (
    re.compile(
        rf"(?<!\bnot )(?:(?P<hedge>{_ANY}){_OR})?\b{_WAY}(?:(?!{_ANY})[^\d\n.;]){{0,40}}?{_SIZE}(?!\s+{_ANY})",
        re.IGNORECASE,
    ),
    re.compile(rf"{_SIZE}\s+{_WAY}(?:{_OR}(?P<hedge>{_ANY}))?", re.IGNORECASE),
)
"""A direction with the nearest size behind it, or a size with the direction right behind it."""
_HEADING = re.compile(r"\[Prediction (?:&|and) Analysis\]", re.IGNORECASE)
_LINE = re.compile(r"\bPrediction\W{0,3}:", re.IGNORECASE)
_ANALYSIS = re.compile(r"\bAnalysis\W{0,3}:", re.IGNORECASE)
_STATED = re.compile(
    r"^From \S+ to \S+, .*?\bprice (?:"
    rf"(?:(?P<up>rose)|fell) by (?P<change>{_NUMBER})%|\w+ from (?P<first>{_NUMBER}) to (?P<last>{_NUMBER}))",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Forecast:
    """A direction and a range of per cents.

    Attributes:
        direction: up | down.
        low, high: the range's ends, in per cent; a high of None = more than low.
    """

    direction: Direction
    low: float
    high: float | None

    @classmethod
    def of(cls, change: float) -> Forecast:
        """The range that a move lies in: up to 1 %, up to 2 %, ..., more than 5 %.

        Args:
            change: relative to the price before: 0.012 is up by 1-2%.
        """
        size = max(math.ceil(round(abs(100 * change), 9)), 1)  # 2.0000000000000018 is 2
        low, high = (LARGE, None) if size > LARGE else (size - 1, size)
        return cls("up" if change >= 0 else "down", low, high)

    @property
    def words(self) -> str:
        """Such as `up by 1-2%`, `down by more than 5%`."""
        size = f"more than {self.low:g}%" if self.high is None else f"{self.low:g}-{self.high:g}%"
        return f"{self.direction} by {size}"

    @property
    def middle(self) -> float:
        """The range's middle in per cent, below zero for a fall; half a per cent above the end of an open one."""
        size = self.low + 0.5 if self.high is None else (self.low + self.high) / 2
        return size if self.direction == "up" else -size


def answer_of(forecast: Forecast) -> str:
    """An answer of what is known of a past week: its prediction. Nothing else is made up."""
    return f"{PREDICTION}\nPrediction: {forecast.words.capitalize()}"


def read_forecast(answer: str) -> Forecast | None:
    """What an answer forecasts; None where it is invalid.

    Read is the first line behind `Prediction:`, else behind the heading `[Prediction & Analysis]`; without either, the
    answer has to begin with the forecast. The line has to name a direction with a size in per cent, and no other
    direction with one: `Up or down by 1-2%` forecasts nothing. A single number is a range by itself.
    """
    marker = _LINE.search(answer) or _HEADING.search(answer)
    said = answer[marker.end() :] if marker else answer
    line = _ANALYSIS.split(said.lstrip(" \t\r\n:*"), maxsplit=1)[0].partition("\n")[0]
    if not marker and not _FORMS[0].match(line):
        return None
    found = next(filter(None, (list(form.finditer(line)) for form in _FORMS)), [])
    named = [_direction(word) for match in found for word in (match["up"], match["down"], match["hedge"]) if word]
    return _forecast(found[0], named[0]) if len(set(named)) == 1 else None


def _direction(word: str) -> Direction:
    return "up" if re.fullmatch(_UP, word, re.IGNORECASE) else "down"


def _forecast(found: re.Match[str], direction: Direction) -> Forecast:
    low, high = float(found["low"]), float(found["high"] or found["low"])
    if not found["high"] and (found["more"] or found["plus"]):
        return Forecast(direction, low, None)
    return Forecast(direction, min(low, high), max(low, high))


def move_sentence(first: str, last: str, symbol: str, change: float) -> str:
    """What a price did between two days, as prompts say it; `stated_moves` reads it.

    Args:
        first, last: the days, ISO 8601.
        symbol: whose price.
        change: relative to the price before.
    """
    way = "rose" if change >= 0 else "fell"
    return f"From {first} to {last}, {symbol}'s stock price {way} by {abs(100 * change):.1f}%."


def stated_moves(prompt: str) -> list[float]:
    """The moves that a prompt states, in per cent and in order; of FinGPT's prompts, which have prices, too."""
    return [_stated(found) for found in _STATED.finditer(prompt)]


def _stated(found: re.Match[str]) -> float:
    if found["change"]:
        return float(found["change"]) if found["up"] else -float(found["change"])
    first, last = float(found["first"]), float(found["last"])
    return 100 * (last / first - 1) if first else 0.0
