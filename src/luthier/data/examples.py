"""Rows as they stand in the user's files, and what formats make of them. Nothing here knows of tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it stands in a file.

    Attributes:
        values: its fields; a line of plain text is {"text": line}.
        file: path of the file as the user would write it.
        line: 1-based line where the row begins (for Parquet and JSON arrays: 1-based position of the row).
    """

    values: Mapping[str, Any]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read.

    Attributes:
        file: path of the file as the user would write it.
        line: 1-based line (or position, as in `Row`).
        reason: why, for the ledger.
    """

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: who speaks; tool is what a called function returned.
        content: what is said; may be empty beside calls.
        calls: the functions that the assistant calls, each {"name": ..., "arguments": {...}}, perhaps with its "id".
        call_id: for what a function returned, the id of its call; empty where calls have none.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: tuple[Mapping[str, Any], ...] = ()
    call_id: str = ""

    @property
    def text(self) -> str:
        """What is said, and below it the calls, one JSON object a line."""
        if not self.calls:
            return self.content
        calls = ({"name": call["name"], "arguments": call["arguments"]} for call in self.calls)
        return "\n".join(filter(None, (self.content, *(json.dumps(call, ensure_ascii=False) for call in calls))))

    def as_dict(self) -> dict[str, Any]:
        """The turn as chat templates and the chat APIs have it; arguments stay an object."""
        turn: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.calls:
            turn["tool_calls"] = [
                {"type": "function"}
                | ({"id": call["id"]} if "id" in call else {})
                | {"function": {"name": call["name"], "arguments": call["arguments"]}}
                for call in self.calls
            ]
        return turn | ({"tool_call_id": self.call_id} if self.call_id else {})


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns of a chat; the assistant's turns are learned."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def comparable(self) -> str:
        """Every turn but the system's."""
        return _said(self.messages)

    @property
    def classes(self) -> tuple[str, ...]:
        """None: the answers are free."""
        return ()


def _said(messages: tuple[Message, ...]) -> str:
    return "\n".join(message.text for message in messages if message.role != "system")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and its label; `instruction` is asked in place of the configured one, None = that one."""

    text: str
    label: str
    instruction: str | None = None

    @property
    def comparable(self) -> str:
        """The text."""
        return self.text

    @property
    def classes(self) -> tuple[str, ...]:
        """The label."""
        return (self.label,)


@dataclass(frozen=True, slots=True)
class MultiLabelled:
    """A text and all labels that are true of it: none, one or several."""

    text: str
    labels: tuple[str, ...]

    @property
    def comparable(self) -> str:
        """The text."""
        return self.text

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels


@dataclass(frozen=True, slots=True)
class Scored:
    """A text and a number."""

    text: str
    score: float

    @property
    def comparable(self) -> str:
        """The text."""
        return self.text

    @property
    def classes(self) -> tuple[str, ...]:
        """None: a number is no class."""
        return ()


@dataclass(frozen=True, slots=True)
class TaggedWords:
    """Words, each with its tag."""

    words: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def comparable(self) -> str:
        """The words."""
        return " ".join(self.words)

    @property
    def classes(self) -> tuple[str, ...]:
        """The tags, each once."""
        return tuple(sorted(set(self.tags)))


@dataclass(frozen=True, slots=True)
class Pair:
    """A text and what it becomes: a translation, a summary; `instruction` as of labelled text."""

    source: str
    target: str
    instruction: str | None = None

    @property
    def comparable(self) -> str:
        """The source."""
        return self.source

    @property
    def classes(self) -> tuple[str, ...]:
        """None: the answers are free."""
        return ()


@dataclass(frozen=True, slots=True)
class Preference:
    """A prompt with a better and a worse answer."""

    messages: tuple[Message, ...]
    chosen: str
    rejected: str

    @property
    def comparable(self) -> str:
        """The prompt without the system's turns, and both answers."""
        return "\n".join((_said(self.messages), self.chosen, self.rejected))

    @property
    def classes(self) -> tuple[str, ...]:
        """None: the answers are free."""
        return ()


@dataclass(frozen=True, slots=True)
class Document:
    """Running text, all of it learned."""

    text: str

    @property
    def comparable(self) -> str:
        """The text."""
        return self.text

    @property
    def classes(self) -> tuple[str, ...]:
        """None."""
        return ()


Example = Conversation | Labelled | MultiLabelled | Scored | TaggedWords | Pair | Preference | Document
"""A tagged union: what the class is, is the tag. Every kind has the text by which rows are compared, without the answer
where there is a right one, and the classes that its answer names."""

CALLED: dict[type, str] = {
    Conversation: "a conversation",
    Document: "running text",
    Labelled: "a labelled text",
    MultiLabelled: "a text with several labels",
    Pair: "a pair of texts",
    Preference: "a preference",
    Scored: "a scored text",
    TaggedWords: "tagged words",
}
"""What messages call each kind of example."""


class UnreadableRow(Exception):
    """A row that a format cannot read; its message becomes the ledger's reason. The row is quarantined, not lost."""

    def __init__(self, reason: str) -> None:
        super().__init__(visible(reason))


class UnwritableExample(Exception):
    """An example that a format has no room for; its message says what would be lost."""


def is_text(value: str) -> bool:
    """Whether a file can hold it: not with half a character in it, which JSON can escape and broken bytes leave."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def visible(value: str) -> str:
    """The same with what is no text in it written out, as in `\\ud83d`."""
    return value.encode(errors="backslashreplace").decode()
