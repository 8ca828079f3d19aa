"""Rows as they stand in the user's files, and what formats make of them. Nothing here knows of tokens."""

from __future__ import annotations

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
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns of a chat; the assistant's turns are learned."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and its label."""

    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Document:
    """Running text, all of it learned."""

    text: str


Example = Conversation | Labelled | Document
"""A tagged union: what the class is, is the tag."""


class UnreadableRow(Exception):
    """A row that a format cannot read; its message becomes the ledger's reason. The row is quarantined, not lost."""
