"""Conversations in the ShareGPT layout: `{"conversations": [{"from": "human", "value": "..."}, ...]}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from luthier.data.examples import Conversation, Message, Row
from luthier.data.formats import find_column, readable_share, text_in
from luthier.data.formats._chat import SHAREGPT_ROLES, conversation, read_tools, read_turns


class Sharegpt:
    """A list of turns with from and value, and perhaps a system message and tools."""

    columns: ClassVar[Mapping[str, str]] = {
        "conversations": "the list of turns",
        "system": "a system message (optional)",
        "tools": "tool descriptions (optional)",
    }

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows hold such a list."""
        return 0.975 * readable_share(self, rows)

    def example(self, row: Row) -> Conversation:
        """The conversation of a row; calls of functions are the assistant's own turns, observations are the tool's."""
        columns = self.roles(row)
        column = columns["conversations"]
        messages = read_turns(row.values[column], column, "from", "value", SHAREGPT_ROLES)
        if system := text_in(row.values.get(columns.get("system", "")), "the system message", empty=True):
            messages.insert(0, Message("system", system))
        return conversation(messages, read_tools(row.values.get(columns.get("tools", ""))))

    def roles(self, row: Row) -> dict[str, str]:
        """The list of turns, and system message and tools when there are any."""
        optional = {role: self.mapping.get(role, role) for role in ("system", "tools")}
        return {
            "conversations": find_column(row, self.mapping, "conversations", ("conversations", "conversation")),
            **{role: column for role, column in optional.items() if column in row.values},
        }
