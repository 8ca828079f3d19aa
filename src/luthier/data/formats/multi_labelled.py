"""Text with any number of labels: `{"text": "Profit rose, two sites closed", "labels": ["results", "closures"]}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Example, Row
from luthier.data.examples import MultiLabelled as MultiLabelledExample
from luthier.data.formats import find_column, label_in, only, readable_share, text_in
from luthier.data.formats.labelled import TEXT_NAMES

LABELS_NAMES = ("labels", "topics", "categories", "emotions", "classes", "tags", "标签")
SEPARATORS = ("|", ";", ",")
"""What parts labels that are written as one text: the first of these that is in it."""


class MultiLabelled:
    """A text column and a column of labels: a list, or a text with |, ; or , between them; empty for none."""

    columns: ClassVar[Mapping[str, str]] = {"text": "the text", "labels": "its labels"}

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have both columns, and some row shows that there may be several labels."""
        several = any(self._several(row) for row in rows)
        return 0.75 * readable_share(self, rows) if several else 0.0

    def _several(self, row: Row) -> bool:
        values = {str(column).strip().casefold(): value for column, value in row.values.items()}
        if "labels" in self.mapping:
            values = {"labels": row.values.get(self.mapping["labels"])}
        found = next((values[name] for name in LABELS_NAMES if name in values), None)
        return isinstance(found, list) or bool(isinstance(found, str) and re.search(r"[|;]", found))

    def row(self, example: Example) -> dict[str, Any]:
        """Text and the list of labels."""
        labelled = only(MultiLabelledExample, example)
        return {"text": labelled.text, "labels": list(labelled.labels)}

    def roles(self, row: Row) -> dict[str, str]:
        """The text's column and that of the labels."""
        return {
            "text": find_column(row, self.mapping, "text", TEXT_NAMES),
            "labels": find_column(row, self.mapping, "labels", LABELS_NAMES),
        }

    def example(self, row: Row) -> MultiLabelledExample:
        """Text and labels of a row, each label once."""
        text, labels = self.roles(row).values()
        what = f"column '{labels}'"
        found = [label_in(label, f"a label of {what}") for label in _listed(row.values[labels], what)]
        return MultiLabelledExample(text_in(row.values[text], f"column '{text}'").strip(), tuple(dict.fromkeys(found)))


def _listed(value: Any, what: str) -> Sequence[Any]:
    """A list as it is, a text cut at its separator; nothing between two separators is no label."""
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        separator = next((mark for mark in SEPARATORS if mark in value), None)
        return (
            [part for part in value.split(separator) if part.strip()] if separator else [value] if value.strip() else []
        )
    return [text_in(value, what)]
