"""Words with a tag each: `{"words": ["Nokia", "rose"], "tags": ["B-ORG", "O"]}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Example, Row, TaggedWords, UnreadableRow
from luthier.data.formats import describe, find_column, only, text_in

WORDS_NAMES = ("words", "tokens", "词", "字")
TAGS_NAMES = ("tags", "ner_tags", "labels", "pos_tags", "ner", "标签")


class Tagged:
    """A column of words and a column of as many tags: two lists, or two texts with spaces between the parts."""

    columns: ClassVar[Mapping[str, str]] = {"words": "the words", "tags": "the tag of each word"}

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have two lists of the same length; what stands in them is looked at later."""
        good = sum(self._fits(row) for row in rows)
        return 0.9 * good / len(rows) if good >= 0.4 * len(rows) > 0 else 0.0

    def _fits(self, row: Row) -> bool:
        try:
            words, tags = (_parts(row.values[column], column) for column in self.roles(row).values())
        except UnreadableRow:
            return False
        return len(words) == len(tags) > 0

    def row(self, example: Example) -> dict[str, Any]:
        """Both as lists."""
        tagged = only(TaggedWords, example)
        return {"words": list(tagged.words), "tags": list(tagged.tags)}

    def roles(self, row: Row) -> dict[str, str]:
        """The words' column and that of the tags."""
        return {
            "words": find_column(row, self.mapping, "words", WORDS_NAMES),
            "tags": find_column(row, self.mapping, "tags", TAGS_NAMES),
        }

    def example(self, row: Row) -> TaggedWords:
        """Words and tags of a row."""
        words, tags = self.roles(row).values()
        found, tagged = _parts(row.values[words], words), _parts(row.values[tags], tags)
        if len(found) != len(tagged):
            raise UnreadableRow(f"column '{words}' has {len(found)} words, column '{tags}' {len(tagged)} tags")
        if any(isinstance(tag, int) for tag in tagged):
            raise UnreadableRow(f"column '{tags}' has numbers, expected the tags' names, such as B-ORG")
        return TaggedWords(
            tuple(text_in(word, f"a word of column '{words}'") for word in found),
            tuple(text_in(tag, f"a tag of column '{tags}'") for tag in tagged),
        )


def _parts(value: Any, column: str) -> Sequence[Any]:
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, list):
        raise UnreadableRow(f"column '{column}' is {describe(value)}, expected a list")
    if not value:
        raise UnreadableRow(f"column '{column}' is empty")
    return value
