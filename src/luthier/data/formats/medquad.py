"""MedQuAD's files: a document about one disease, drug or test, with question and answer pairs inside.

`{"Focus": "...", "QAPairs": {"QAPair": [{"Question": {"qtype": "symptoms", "text": "..."}, "Answer": "..."}]}}` is what
its XML holds (https://github.com/abachaa/MedQuAD). A document becomes one example a pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Conversation, Message, Row, UnreadableRow
from luthier.data.formats import Part, describe, find_column, parts_of, text_in


class Medquad:
    """A document's pairs; those whose answer was taken out for copyright cannot be read, each with that reason."""

    columns: ClassVar[Mapping[str, str]] = {"pairs": "an object with the pairs under QAPair"}

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits by its pairs, whether they have answers or not: whole folders of it have none."""
        found = sum(bool(self._pairs(row)) for row in rows)
        return 0.95 * found / len(rows) if found >= 0.4 * len(rows) > 0 else 0.0

    def _pairs(self, row: Row) -> list[Any]:
        try:
            pairs = row.values[self.roles(row)["pairs"]]
        except UnreadableRow:
            return []
        inside = pairs.get("QAPair") if isinstance(pairs, Mapping) else None
        return inside if isinstance(inside, list) else [inside] if inside else []

    def roles(self, row: Row) -> dict[str, str]:
        """The column of pairs."""
        return {"pairs": find_column(row, self.mapping, "pairs", ("qapairs",))}

    def example(self, row: Row) -> Sequence[Part]:
        """A conversation for each pair."""
        column = self.roles(row)["pairs"]
        if not (pairs := self._pairs(row)):
            raise UnreadableRow(f"column '{column}' has no QAPair")
        return parts_of(pairs, _conversation)


def _conversation(number: int, pair: Any) -> Conversation:
    if not isinstance(pair, Mapping):
        raise UnreadableRow(f"pair {number} is {describe(pair)}, expected a question and an answer")
    question = pair.get("Question")
    asked = question.get("text") if isinstance(question, Mapping) else question
    messages = (
        Message("user", text_in(asked, f"the question of pair {number}").strip()),
        Message("assistant", text_in(pair.get("Answer"), f"the answer of pair {number}").strip()),
    )
    return Conversation(messages)
