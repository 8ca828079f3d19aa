"""Drops rows by what they are made of: lengths of a pair, shares of letters, digits and punctuation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from luthier.data.cleaning import CleaningStep, DroppedRow
from luthier.data.examples import Example, Pair, Row
from luthier.data.texts import question
from luthier.data.words import plain_words
from luthier.registry import Options


class RatioOptions(Options):
    """Pairs whose sides differ too much in length, and texts with few letters or many digits or punctuation marks."""

    name: Literal["ratio"] = "ratio"
    pair: float | None = Field(
        None,
        ge=1,
        description="Most words of the longer side of a pair for each of the shorter one; a Chinese character is "
        "a word. null = any.",
    )
    min_letters: float | None = Field(
        None, ge=0, le=1, description="Least share of letters among the characters that are no space; null = any."
    )
    max_digits: float | None = Field(None, ge=0, le=1, description="Most share of digits; null = any.")
    max_punctuation: float | None = Field(
        None, ge=0, le=1, description="Most share of what is neither letter nor digit; null = any."
    )


class Ratio(CleaningStep):
    """The pair's sides first, then the shares."""

    Options = RatioOptions

    def repair(self, example: Example, row: Row) -> tuple[Example, str | None]:
        """Changes nothing.

        Raises:
            DroppedRow: a ratio is outside its bounds.
        """
        if isinstance(example, Pair) and self.options.pair is not None:
            source, target = len(plain_words(example.source)), len(plain_words(example.target))
            if max(source, target) > self.options.pair * min(source, target):
                raise DroppedRow(f"ratio: {source} words to {target}, more than {self.options.pair:g} to one")
        self._check_shares(question(example))
        return example, None

    def _check_shares(self, text: str) -> None:
        characters = "".join(text.split())
        letters, digits = sum(map(str.isalpha, characters)), sum(map(str.isdigit, characters))
        total = max(len(characters), 1)
        others = len(characters) - letters - digits
        least = self.options.min_letters
        if least is not None and letters < least * total:
            raise DroppedRow(f"ratio: letters are {_percent(letters / total)} of the text, less than {_percent(least)}")
        for what, found, most in (
            ("digits", digits, self.options.max_digits),
            ("punctuation marks", others, self.options.max_punctuation),
        ):
            if most is not None and found > most * total:
                raise DroppedRow(f"ratio: {what} are {_percent(found / total)} of the text, more than {_percent(most)}")


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"
