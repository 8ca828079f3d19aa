"""Questions about a table and its text: `{"table": {"table": [[...]]}, "paragraphs": [...], "questions": [...]}`.

The layout of TAT-QA (https://arxiv.org/abs/2105.07624). A row becomes one example a question: the table, a row a line
with | between the cells, then the paragraphs in their order, then the question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Conversation, Message, Row, UnreadableRow
from luthier.data.formats import (
    Part,
    answer_in,
    describe,
    find_column,
    find_optional,
    parts_of,
    readable_share,
    text_in,
)


class TableText:
    """A table, paragraphs and questions with answers, which may have a scale such as million."""

    columns: ClassVar[Mapping[str, str]] = {
        "table": "rows of cells, or an object with them under `table`",
        "paragraphs": "texts, or objects with text and order (optional)",
        "questions": "objects with question, answer and perhaps scale",
    }

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have a table and a question that can be read."""
        return 0.95 * readable_share(self, rows)

    def roles(self, row: Row) -> dict[str, str]:
        """Table and questions, and the paragraphs when there are any."""
        return (
            {"table": find_column(row, self.mapping, "table", ("table",))}
            | find_optional(row, self.mapping, "paragraphs", ("paragraphs",))
            | {"questions": find_column(row, self.mapping, "questions", ("questions",))}
        )

    def example(self, row: Row) -> Sequence[Part]:
        """An example for each question."""
        roles = self.roles(row)
        table = row.values[roles["table"]]
        shown = _table(table.get("table") if isinstance(table, Mapping) else table, f"column '{roles['table']}'")
        told = _paragraphs(row.values.get(roles.get("paragraphs", "")) or [])
        asked = row.values[roles["questions"]]
        if not isinstance(asked, list) or not asked:
            raise UnreadableRow(f"column '{roles['questions']}' is {describe(asked)}, expected questions")

        def made(number: int, item: Any) -> Conversation:
            if not isinstance(item, Mapping):
                raise UnreadableRow(f"question {number} is {describe(item)}, expected an object")
            question = text_in(item.get("question"), f"question {number}").strip()
            answer = _answer(item.get("answer"), item.get("scale"), f"the answer to question {number}")
            prompt = "\n\n".join([shown, *told, question])
            return Conversation((Message("user", prompt), Message("assistant", answer)))

        return parts_of(asked, made)


def _table(value: Any, what: str) -> str:
    if not isinstance(value, list) or not value or not all(isinstance(cells, list) for cells in value):
        raise UnreadableRow(f"{what} is {describe(value)}, expected rows of cells")
    lines = ("| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |" for cells in value)
    return text_in("\n".join(lines), what)


def _paragraphs(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise UnreadableRow(f"the paragraphs are {describe(value)}, expected a list")
    ordered = sorted(value, key=lambda item: item.get("order", 0) if isinstance(item, Mapping) else 0)
    texts = [item.get("text") if isinstance(item, Mapping) else item for item in ordered]
    return [text_in(text, "a paragraph").strip() for text in texts]


def _answer(value: Any, scale: Any, what: str) -> str:
    """Several spans with ; between them, then the scale where the words do not say it already."""
    if not isinstance(value, list):
        value = [value]
    said = "; ".join(answer_in(item, what) for item in value)
    if not said:
        raise UnreadableRow(f"{what} is empty")
    if not scale or (scale == "percent" and said.endswith("%")):
        return said
    return f"{said}%" if scale == "percent" else text_in(f"{said} {scale}", what)
