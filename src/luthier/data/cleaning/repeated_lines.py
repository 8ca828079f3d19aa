"""Drops documents that say the same lines or paragraphs again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from luthier.data.cleaning import CleaningStep, DroppedRow
from luthier.data.examples import Example, Row
from luthier.data.texts import texts
from luthier.registry import Options


class RepeatedLinesOptions(Options):
    """Texts in which too many lines or paragraphs repeat earlier ones; the bounds are those of Gopher.

    Rae et al. 2021, Scaling Language Models (https://arxiv.org/abs/2112.11446), table A1.
    """

    name: Literal["repeated_lines"] = "repeated_lines"
    lines: float = Field(0.3, ge=0, le=1, description="Most share of lines that repeat an earlier one.")
    line_characters: float = Field(0.2, ge=0, le=1, description="Most share of characters in such lines.")
    paragraphs: float = Field(0.3, ge=0, le=1, description="Most share of paragraphs that repeat an earlier one.")
    paragraph_characters: float = Field(0.2, ge=0, le=1, description="Most share of characters in such paragraphs.")


class RepeatedLines(CleaningStep):
    """Lines first, then paragraphs, which empty lines part."""

    Options = RepeatedLinesOptions

    def repair(self, example: Example, row: Row) -> tuple[Example, str | None]:
        """Changes nothing.

        Raises:
            DroppedRow: too much is repeated.
        """
        bounds = self.options
        for text in texts(example, calls=False):
            if "\n" not in text:
                continue
            _check("lines", text.split("\n"), bounds.lines, bounds.line_characters)
            _check("paragraphs", text.split("\n\n"), bounds.paragraphs, bounds.paragraph_characters)
        return example, None


def _check(what: str, pieces: Sequence[str], most: float, most_characters: float) -> None:
    found = [piece for piece in (piece.strip() for piece in pieces) if piece]
    seen: set[str] = set()
    repeated = [piece for piece in found if piece in seen or seen.add(piece)]  # type: ignore[func-returns-value]
    total = max(sum(map(len, found)), 1)
    if len(repeated) > most * len(found):
        raise DroppedRow(f"repeated_lines: {len(repeated)} of {len(found)} {what} repeat earlier ones")
    characters = sum(map(len, repeated))
    if characters > most_characters * total:
        raise DroppedRow(
            f"repeated_lines: {round(100 * characters / total)} % of the text are {what} that repeat earlier ones"
        )
