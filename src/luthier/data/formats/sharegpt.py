"""Conversations in the ShareGPT layout: `{"conversations": [{"from": "human", "value": "..."}, ...]}`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Conversation, Example, Message, Row, UnwritableExample
from luthier.data.formats import find_column, readable_share, text_in
from luthier.data.formats._chat import (
    CALL,
    SHAREGPT_ROLES,
    as_conversation,
    conversation,
    read_tools,
    read_turns,
)

SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
"""Who speaks, as it is written."""


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
        """The conversation of a row; calls of functions are turns of the assistant, observations are the tool's."""
        columns = self.roles(row)
        column = columns["conversations"]
        messages = read_turns(row.values[column], column, "from", "value", SHAREGPT_ROLES)
        if system := text_in(row.values.get(columns.get("system", "")), "the system message", empty=True):
            messages.insert(0, Message("system", system))
        return conversation(messages, read_tools(row.values.get(columns.get("tools", ""))))

    def row(self, example: Example) -> dict[str, Any]:
        """Every turn, and the tools as JSON text, which is how this layout has them."""
        talk = as_conversation(example)
        tools = {"tools": json.dumps(talk.tools, ensure_ascii=False)} if talk.tools else {}
        return {"conversations": [_turn(message) for message in talk.messages]} | tools

    def roles(self, row: Row) -> dict[str, str]:
        """The list of turns, and system message and tools when there are any."""
        optional = {role: self.mapping.get(role, role) for role in ("system", "tools")}
        return {
            "conversations": find_column(row, self.mapping, "conversations", ("conversations", "conversation")),
            **{role: column for role, column in optional.items() if column in row.values},
        }


def _turn(message: Message) -> dict[str, Any]:
    if message.calls and message.content:
        raise UnwritableExample("an answer that also calls a function has no place in one turn of this format")
    if message.calls:
        calls = message.calls if len(message.calls) > 1 else message.calls[0]
        return {"from": CALL, "value": json.dumps(calls, ensure_ascii=False)}
    turn = {"from": SPEAKERS[message.role], "value": message.content}
    return turn | ({"tool_call_id": message.call_id} if message.call_id else {})
