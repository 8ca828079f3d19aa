"""Text with a label: `{"text": "Profit rose", "label": "positive"}`, and perhaps an `instruction` of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Example, Row
from luthier.data.examples import Labelled as LabelledExample
from luthier.data.formats import (
    INSTRUCTION,
    find_column,
    find_instruction,
    instruction_in,
    label_in,
    only,
    readable_share,
    text_in,
)

TEXT_NAMES = (
    "text", "sentence", "headline", "title", "review", "content", "tweet", "comment", "message", "news", "body",
    "document", "description", "statement", "文本", "句子", "标题", "内容", "评论",
)  # fmt: skip
LABEL_NAMES = (
    "label", "sentiment", "class", "category", "target", "polarity", "emotion", "intent", "topic", "stance", "tag",
    "标签", "类别", "情感",
)  # fmt: skip


class Labelled:
    """A text column and a label column, by common names or by the mapping."""

    columns: ClassVar[Mapping[str, str]] = {"text": "the text", "label": "its label", **INSTRUCTION}

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have both columns."""
        return 0.8 * readable_share(self, rows)

    def row(self, example: Example) -> dict[str, Any]:
        """Text and label, and the instruction when it has one of its own."""
        labelled = only(LabelledExample, example)
        own = {} if labelled.instruction is None else {"instruction": labelled.instruction}
        return {"text": labelled.text, "label": labelled.label, **own}

    def roles(self, row: Row) -> dict[str, str]:
        """The text's column and the label's, and the instruction's when there is one."""
        return {
            "text": find_column(row, self.mapping, "text", TEXT_NAMES),
            "label": find_column(row, self.mapping, "label", LABEL_NAMES),
            **find_instruction(row, self.mapping),
        }

    def example(self, row: Row) -> LabelledExample:
        """Text and label of a row, and its own instruction."""
        roles = self.roles(row)
        text, label = roles["text"], roles["label"]
        return LabelledExample(
            text_in(row.values[text], f"column '{text}'").strip(),
            label_in(row.values[label], f"column '{label}'"),
            instruction_in(row, roles),
        )
