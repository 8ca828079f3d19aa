"""Drops rows that are too short or too long, before any token is counted."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from luthier.data.cleaning import CleaningStep, DroppedRow
from luthier.data.examples import Example, Row
from luthier.data.texts import answer, question
from luthier.data.words import plain_words
from luthier.registry import Options


class Limits(BaseModel):
    """Least and most of a text; null = no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_characters: int | None = Field(None, ge=0, description="Least characters.")
    max_characters: int | None = Field(None, ge=1, description="Most characters.")
    min_words: int | None = Field(None, ge=0, description="Least words; a Chinese character is a word.")
    max_words: int | None = Field(None, ge=1, description="Most words.")


class LengthOptions(Options):
    """Rows whose text or free answer is too short or too long; `data.max_length` counts tokens, and comes later."""

    name: Literal["length"] = "length"
    text: Limits = Field(
        default_factory=Limits, description="Of what a row is about: its text, its source, its question."
    )
    answer: Limits = Field(
        default_factory=Limits,
        description="Of a free answer: a pair's target, what the assistant says. Labels are none.",
    )


class Length(CleaningStep):
    """Characters and words of the question and of the answer."""

    Options = LengthOptions

    def repair(self, example: Example, row: Row) -> tuple[Example, str | None]:
        """Changes nothing.

        Raises:
            DroppedRow: a text is too short or too long.
        """
        for what, text, limits in (
            ("text", question(example), self.options.text),
            ("answer", answer(example), self.options.answer),
        ):
            problem = _outside(text, limits) if text is not None else None
            if problem:
                raise DroppedRow(f"length: the {what} has {problem}")
        return example, None


def _outside(text: str, limits: Limits) -> str | None:
    problem = _beyond(len(text), "characters", limits.min_characters, limits.max_characters)
    if problem or (limits.min_words is None and limits.max_words is None):
        return problem
    return _beyond(len(plain_words(text)), "words", limits.min_words, limits.max_words)


def _beyond(found: int, unit: str, least: int | None, most: int | None) -> str | None:
    if least is not None and found < least:
        return f"{found} {unit}, fewer than {least}"
    if most is not None and found > most:
        return f"{found} {unit}, more than {most}"
    return None
