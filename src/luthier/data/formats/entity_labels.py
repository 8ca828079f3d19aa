"""A text with a label for each thing in it: `{"title": "Nokia gains on Ericsson", "entities": {"Nokia": "up", ...}}`.

A row of several things becomes several examples; the thing that a label is about stands on a line below the text.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Labelled, Row, UnreadableRow
from luthier.data.formats import Part, describe, find_column, label_in, parts_of, readable_share, text_in
from luthier.data.formats.labelled import TEXT_NAMES

LABELS_NAMES = ("decisions", "entities", "aspects", "targets", "entity_sentiments", "aspect_sentiments", "实体情感")

_ITEM = re.compile(r"\s*'(.+?)'\s*:\s*'([^']*)'\s*(?:,|$)")
"""An entity may hold an apostrophe that nobody escaped: it ends where a label begins."""


class EntityLabels:
    """A text column, and a column of thing -> label: an object, JSON, or a dictionary as Python prints it."""

    columns: ClassVar[Mapping[str, str]] = {"text": "the text", "labels": "an object of thing -> label"}

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have a text and such an object."""
        return 0.9 * readable_share(self, rows)

    def roles(self, row: Row) -> dict[str, str]:
        """The text's column and that of the labels."""
        return {
            "text": find_column(row, self.mapping, "text", TEXT_NAMES),
            "labels": find_column(row, self.mapping, "labels", LABELS_NAMES),
        }

    def example(self, row: Row) -> Sequence[Part]:
        """The text with each thing, and its label."""
        text, labels = self.roles(row).values()
        said, what = text_in(row.values[text], f"column '{text}'").strip(), f"column '{labels}'"

        def made(number: int, thing: tuple[str, Any]) -> Labelled:
            name = text_in(thing[0], f"a name in {what}").strip()
            return Labelled(f"{said}\n{name}", label_in(thing[1], f"the label of '{name}' in {what}"))

        return parts_of(list(_things(row.values[labels], what).items()), made)


def _things(value: Any, what: str) -> Mapping[str, Any]:
    """Thing -> label out of an object or of a text of one.

    Raises:
        UnreadableRow: it is neither, or empty.
    """
    found = _parsed(text_in(value, what)) if not isinstance(value, Mapping) else value
    if not isinstance(found, Mapping):
        raise UnreadableRow(f"{what} is {describe(value)}, expected an object of thing -> label")
    if not found:
        raise UnreadableRow(f"{what} names nothing")
    return found


def _parsed(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError):
            continue
    inner = text.strip().removeprefix("{").removesuffix("}")
    items = list(_ITEM.finditer(inner))
    whole = sum(len(item.group()) for item in items) == len(inner)
    return {item[1]: item[2] for item in items} if items and whole else None
