"""Chat messages: `{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Conversation, Example, Row
from luthier.data.formats import find_column, readable_share
from luthier.data.formats._chat import MESSAGE_ROLES, as_conversation, conversation, read_tools, read_turns


class Messages:
    """A list of messages with role and content or calls of functions, and perhaps tools."""

    columns: ClassVar[Mapping[str, str]] = {"messages": "the list of messages", "tools": "tool descriptions (optional)"}

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows hold such a list."""
        return 0.975 * readable_share(self, rows)

    def example(self, row: Row) -> Conversation:
        """The conversation of a row."""
        columns = self.roles(row)
        column = columns["messages"]
        messages = read_turns(row.values[column], column, "role", "content", MESSAGE_ROLES)
        return conversation(messages, read_tools(row.values.get(columns.get("tools", ""))))

    def row(self, example: Example) -> dict[str, Any]:
        """Every turn, and the tools when there are any."""
        talk = as_conversation(example)
        tools = {"tools": list(talk.tools)} if talk.tools else {}
        return {"messages": [message.as_dict() for message in talk.messages]} | tools

    def roles(self, row: Row) -> dict[str, str]:
        """The list of messages, and the tools when there are any."""
        names = ("messages", "conversation", "conversations", "dialogue")
        tools = self.mapping.get("tools", "tools")
        return {"messages": find_column(row, self.mapping, "messages", names)} | (
            {"tools": tools} if tools in row.values else {}
        )
