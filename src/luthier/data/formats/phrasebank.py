"""The financial phrasebank's own layout: a line is `sentence@label`; the sentence itself may hold an @."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from luthier.data.examples import Labelled, Row, UnreadableRow
from luthier.data.formats import find_column, readable_share, text_in

_LABEL = re.compile(r"[\w -]{1,40}")
_MOST_LABELS = 20


class Phrasebank:
    """Lines of text that end in @ and a label."""

    columns: ClassVar[Mapping[str, str]] = {"text": "the line"}

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when nearly all lines end in a few labels: e-mail addresses at the end of a line are not labels."""
        share = readable_share(self, rows)
        if share < 0.8:
            return 0.0
        labels = {str(value).rpartition("@")[2] for row in rows for value in row.values.values() if "@" in str(value)}
        return 0.95 * share if len(labels) <= min(_MOST_LABELS, max(3, len(rows) // 2)) else 0.0

    def roles(self, row: Row) -> dict[str, str]:
        """The column of lines."""
        return {"text": find_column(row, self.mapping, "text", ("text",))}

    def example(self, row: Row) -> Labelled:
        """Sentence and label, split at the last @."""
        column = self.roles(row)["text"]
        line = text_in(row.values[column], f"column '{column}'")
        text, mark, label = line.rpartition("@")
        if not mark or not _LABEL.fullmatch(label.strip()):
            raise UnreadableRow("no @label at the end of the line")
        return Labelled(text_in(text, "the sentence before @").strip(), label.strip())
