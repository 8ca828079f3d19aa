"""Text with a label: `{"text": "Profit rose", "label": "positive"}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Example, Row
from luthier.data.examples import Labelled as LabelledExample
from luthier.data.formats import find_column, label_in, only, readable_share, text_in

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

    columns: ClassVar[Mapping[str, str]] = {"text": "the text", "label": "its label"}

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have both columns."""
        return 0.8 * readable_share(self, rows)

    def row(self, example: Example) -> dict[str, Any]:
        """Text and label."""
        labelled = only(LabelledExample, example)
        return {"text": labelled.text, "label": labelled.label}

    def roles(self, row: Row) -> dict[str, str]:
        """The text's column and the label's."""
        return {
            "text": find_column(row, self.mapping, "text", TEXT_NAMES),
            "label": find_column(row, self.mapping, "label", LABEL_NAMES),
        }

    def example(self, row: Row) -> LabelledExample:
        """Text and label of a row."""
        text, label = self.roles(row).values()
        return LabelledExample(
            text_in(row.values[text], f"column '{text}'").strip(), label_in(row.values[label], f"column '{label}'")
        )
