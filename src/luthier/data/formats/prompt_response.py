"""A prompt and its response: `{"question": "...", "answer": "..."}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Conversation, Example, Message, Row, UnreadableRow, UnwritableExample
from luthier.data.formats import find_column, readable_share, text_in
from luthier.data.formats._chat import exchanges

PAIRS = (
    ("prompt", "response"),
    ("prompt", "completion"),
    ("prompt", "answer"),
    ("question", "answer"),
    ("question", "response"),
    ("query", "response"),
    ("query", "answer"),
    ("input", "output"),
    ("input", "response"),
    ("problem", "solution"),
    ("ask", "answer"),
    ("user", "assistant"),
    ("instruction", "response"),
    ("问题", "答案"),
    ("问题", "回答"),
)


class PromptResponse:
    """Two columns, what is asked and what is answered, and perhaps a system message."""

    columns: ClassVar[Mapping[str, str]] = {
        "prompt": "what is asked",
        "response": "the answer",
        "system": "a system message (optional)",
    }

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have both columns."""
        return 0.8 * readable_share(self, rows)

    def example(self, row: Row) -> Conversation:
        """A conversation of one question and one answer."""
        columns = self.roles(row)
        texts = {
            role: text_in(row.values[column], f"column '{column}'", empty=role == "system")
            for role, column in columns.items()
        }
        messages = [Message("user", texts["prompt"]), Message("assistant", texts["response"])]
        if texts.get("system"):
            messages.insert(0, Message("system", texts["system"]))
        return Conversation(tuple(messages))

    def row(self, example: Example) -> dict[str, Any]:
        """One question and its answer."""
        system, pairs = exchanges(example)
        if system or len(pairs) != 1:
            raise UnwritableExample(
                "a system message has no place in this format" if system else "more than one question and answer"
            )
        return dict(zip(("prompt", "response"), pairs[0], strict=True))

    def roles(self, row: Row) -> dict[str, str]:
        """Prompt and response, and the system message when it is mapped."""
        prompt, response = self._pair(row)
        system = {"system": find_column(row, self.mapping, "system", ())} if "system" in self.mapping else {}
        return {"prompt": prompt, "response": response, **system}

    def _pair(self, row: Row) -> tuple[str, str]:
        """The mapped columns; the common pair of names; for a half-mapped one, any common partner."""
        if "prompt" in self.mapping or "response" in self.mapping:
            prompt = find_column(row, self.mapping, "prompt", [first for first, _ in PAIRS])
            return prompt, find_column(row, self.mapping, "response", [second for _, second in PAIRS])
        here = {str(column).strip().casefold(): column for column in row.values}
        for first, second in PAIRS:
            if first in here and second in here:
                return here[first], here[second]
        raise UnreadableRow("missing columns for prompt and response (such as prompt and response)")
