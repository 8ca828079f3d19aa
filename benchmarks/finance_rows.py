"""Finance-like sentences by chance: as many as wanted, of realistic lengths, the same for the same seed."""

from __future__ import annotations

import random

_ONSETS = ("b", "br", "c", "d", "f", "g", "gr", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v", "w")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou")
_ENDS = ("Oyj", "plc", "Group", "AB", "Corp", "Holding", "SA", "Bank", "")
_SUBJECTS = (
    "operating profit",
    "net sales",
    "order intake",
    "the gross margin",
    "earnings per share",
    "cash flow",
    "the dividend",
    "the order book",
    "net debt",
    "turnover",
    "comparable revenue",
    "the loss before taxes",
)
_VERBS = ("rose to", "fell to", "came in at", "totalled", "is expected to reach", "improved to", "slipped to", "was")
_UNITS = ("mn", "million", "bn", "thousand")
_MONEY = ("EUR", "USD", "SEK", "GBP", "CNY")
_PERIODS = (
    "the first quarter",
    "the second quarter",
    "the third quarter",
    "2008",
    "the nine months to September",
    "the financial year",
    "January-June",
    "the review period",
)
_TAILS = ("as demand from {customers} grew", "after the {thing} of its {thing} unit", "because of {customers} orders",
          "while costs of {thing} weighed on {thing}", "and {name} keeps its outlook for {thing}",
          "following a contract with {name} on {thing} and {thing}", "said {name} in a stock exchange release",
          "which analysts at {name} had not expected", "thanks to {thing}, {thing} and {customers}")  # fmt: skip


class Sentences:
    """Draws sentences; names and things are made up of syllables, so that no two sentences share many of them."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self._things = [self._word().lower() for _ in range(30_000)]

    def sentence(self) -> str:
        """A sentence of 40 to 350 characters, 130 on average."""
        draw, subject = self.draw, self.draw.choice(_SUBJECTS)
        text = f"{self._name()} said {subject} {draw.choice(_VERBS)} {self._amount()} in {draw.choice(_PERIODS)}"
        if draw.random() < 0.6:
            text += f", from {self._amount()} a year earlier"
        for _ in range(draw.choice((0, 1, 1, 2, 4))):
            text += f", {self._tail()}"
        return f"{text} ."

    def altered(self, text: str, changes: int) -> str:
        """The same with some words replaced, left out or added."""
        words = text.split()
        for _ in range(changes):
            place = self.draw.randrange(len(words))
            how = self.draw.random()
            if how < 0.6:
                words[place] = self.draw.choice(self._things)
            elif how < 0.8 and len(words) > 4:
                del words[place]
            else:
                words.insert(place, self.draw.choice(self._things))
        return " ".join(words)

    def _tail(self) -> str:
        tail = self.draw.choice(_TAILS)
        while "{" in tail:
            tail = tail.replace("{thing}", self.draw.choice(self._things), 1)
            tail = tail.replace("{customers}", self.draw.choice(self._things), 1).replace("{name}", self._name(), 1)
        return tail

    def _word(self) -> str:
        syllables = (self.draw.choice(_ONSETS) + self.draw.choice(_VOWELS) for _ in range(self.draw.randint(2, 4)))
        return ("".join(syllables) + self.draw.choice(("", "n", "r", "s"))).capitalize()

    def _name(self) -> str:
        return f"{self._word()} {self.draw.choice(_ENDS)}".strip()

    def _amount(self) -> str:
        return f"{self.draw.choice(_MONEY)} {self.draw.uniform(0.1, 999):.1f} {self.draw.choice(_UNITS)}"
