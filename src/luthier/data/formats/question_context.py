"""A question about a text: `{"question": "Did profit rise?", "context": "Profit rose.", "answer": "Yes, it rose."}`.

Where the answer is a decision (`final_decision`: yes, no or maybe), it is a label, so that it can be scored as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Conversation, Labelled, Message, Row, UnreadableRow
from luthier.data.formats import answer_in, find_column, find_optional, label_in, readable_share, text_in

QUESTION_NAMES = ("question", "query", "instruction", "problem", "问题", "提问")
CONTEXT_NAMES = (
    "context", "contexts", "passage", "passages", "paragraph", "paragraphs", "article", "document", "background",
    "evidence", "上下文", "背景", "段落", "文章",
)  # fmt: skip
ANSWER_NAMES = ("answer", "answers", "response", "output", "long_answer", "答案", "回答")
LABEL_NAMES = ("final_decision", "decision")
PASSAGE_KEYS = ("text", "contexts", "content", "paragraph_text")
"""What a passage is called inside an object."""


class QuestionContext:
    """A question, the text or texts it is about, and a free answer or a decision."""

    columns: ClassVar[Mapping[str, str]] = {
        "question": "what is asked",
        "context": "what it is asked about: a text or a list of texts",
        "answer": "a free answer",
        "label": "in place of the answer: a decision, such as yes or no",
    }

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have all three: `prompt_response` would leave the text out."""
        return 0.9 * readable_share(self, rows)

    def roles(self, row: Row) -> dict[str, str]:
        """Question, context, and the decision, else the answer; a mapped one goes before a common name."""
        asked = {
            "question": find_column(row, self.mapping, "question", QUESTION_NAMES),
            "context": find_column(row, self.mapping, "context", CONTEXT_NAMES),
        }
        if "answer" not in self.mapping and (label := find_optional(row, self.mapping, "label", LABEL_NAMES)):
            return asked | label
        return asked | {"answer": find_column(row, self.mapping, "answer", ANSWER_NAMES)}

    def example(self, row: Row) -> Conversation | Labelled:
        """The text, an empty line and the question, with what is answered."""
        roles = self.roles(row)
        question, context = (row.values[roles[role]] for role in ("question", "context"))
        asked = text_in(question, f"column '{roles['question']}'").strip()
        asked = "\n\n".join([*_passages(context, f"column '{roles['context']}'"), asked])
        if "label" in roles:
            return Labelled(asked, label_in(row.values[roles["label"]], f"column '{roles['label']}'"))
        said = _answer(row.values[roles["answer"]], f"column '{roles['answer']}'")
        return Conversation((Message("user", asked), Message("assistant", said)))


def _passages(value: Any, what: str) -> list[str]:
    """The texts of a context; none where a row has an empty one."""
    if isinstance(value, dict):
        inner = next((value[key] for key in PASSAGE_KEYS if key in value), None)
        if inner is None:
            raise UnreadableRow(f"{what} is an object without {', '.join(PASSAGE_KEYS)}")
        value = inner
    if isinstance(value, list):
        return [passage for item in value for passage in _passages(item, what)]
    text = text_in(value, what, empty=True).strip()
    return [text] if text else []


def _answer(value: Any, what: str) -> str:
    """A free answer; of several right ones the first."""
    if isinstance(value, dict):
        value = value.get("text")
    if isinstance(value, list):
        if not value:
            raise UnreadableRow(f"{what} has no answer")
        value = value[0]
    return answer_in(value, what)
