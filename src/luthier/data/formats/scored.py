"""Text with a number: `{"text": "Profit rose", "score": 0.7}`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Example, Row, UnreadableRow
from luthier.data.examples import Scored as ScoredExample
from luthier.data.formats import describe, find_column, only, readable_share, text_in
from luthier.data.formats.labelled import TEXT_NAMES

SCORE_NAMES = ("score", "sentiment_score", "rating", "value", "stars", "similarity", "分数", "得分", "评分")


class Scored:
    """A text column and a column of numbers, by common names or by the mapping."""

    columns: ClassVar[Mapping[str, str]] = {"text": "the text", "score": "its number"}

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have both columns; a label beside them says more."""
        return 0.6 * readable_share(self, rows)

    def row(self, example: Example) -> dict[str, Any]:
        """Text and number."""
        scored = only(ScoredExample, example)
        return {"text": scored.text, "score": scored.score}

    def roles(self, row: Row) -> dict[str, str]:
        """The text's column and the number's."""
        return {
            "text": find_column(row, self.mapping, "text", TEXT_NAMES),
            "score": find_column(row, self.mapping, "score", SCORE_NAMES),
        }

    def example(self, row: Row) -> ScoredExample:
        """Text and number of a row."""
        text, score = self.roles(row).values()
        return ScoredExample(
            text_in(row.values[text], f"column '{text}'").strip(), _number(row.values[score], f"column '{score}'")
        )


def _number(value: Any, what: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError):
        raise UnreadableRow(f"{what} is {describe(value)}, expected a number") from None
    if not math.isfinite(number):
        raise UnreadableRow(f"{what} is {'empty' if value is None else describe(value)}, expected a number")
    return number
