"""Running text: a line of a text file, or a text column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Document, Example, Row
from luthier.data.formats import find_column, only, readable_share, text_in

TEXT_NAMES = ("text", "content", "document", "body", "article", "passage", "文本", "内容")


class Text:
    """One column of text, all of it learned; a list of words is a text with spaces."""

    columns: ClassVar[Mapping[str, str]] = {"text": "the text"}

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits whatever has a text; every other format that fits says more about the row."""
        return 0.3 * readable_share(self, rows)

    def row(self, example: Example) -> dict[str, Any]:
        """The text."""
        return {"text": only(Document, example).text}

    def roles(self, row: Row) -> dict[str, str]:
        """The column of text."""
        return {"text": find_column(row, self.mapping, "text", TEXT_NAMES)}

    def example(self, row: Row) -> Document:
        """The text of a row."""
        column = self.roles(row)["text"]
        value = row.values[column]
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            value = " ".join(value)
        return Document(text_in(value, f"column '{column}'"))
