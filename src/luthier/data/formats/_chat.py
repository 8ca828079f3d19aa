"""What the chat formats share: turns as lists of objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, cast

from luthier.data.examples import Conversation, Message, UnreadableRow
from luthier.data.formats import describe, text_in

Role = Literal["system", "user", "assistant", "tool"]

MESSAGE_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
SHAREGPT_ROLES: Mapping[str, Role] = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "function_call": "assistant",
    "observation": "tool",
    "tool": "tool",
}
"""Who speaks, by what the two layouts call them."""


def read_turns(value: Any, column: str, role_key: str, text_key: str, roles: Mapping[str, Role]) -> list[Message]:
    """Messages out of a list of objects.

    Raises:
        UnreadableRow: it is no such list, or a role is unknown, or a text is missing.
    """
    if not value:
        raise UnreadableRow(f"column '{column}' is empty")
    if not isinstance(value, list):
        raise UnreadableRow(f"column '{column}' is {describe(value)}, expected a list of turns")
    messages: list[Message] = []
    for number, turn in enumerate(value, start=1):
        what = f"turn {number} of column '{column}'"
        if not isinstance(turn, dict) or role_key not in turn:
            raise UnreadableRow(f"{what} has no '{role_key}'")
        role = roles.get(str(turn[role_key]).casefold())
        if role is None:
            raise UnreadableRow(f"{what} has the unknown role '{turn[role_key]}'")
        messages.append(Message(role, text_in(turn.get(text_key), what)))
    return messages


def conversation(messages: list[Message], tools: list[dict[str, Any]]) -> Conversation:
    """A conversation that asks and answers at least once.

    Raises:
        UnreadableRow: it has no question or no answer.
    """
    for role, what in (("user", "question"), ("assistant", "answer")):
        if not any(message.role == role for message in messages):
            raise UnreadableRow(f"a conversation without any {what}")
    return Conversation(tuple(messages), tuple(tools))


def read_tools(value: Any) -> list[dict[str, Any]]:
    """Tool descriptions: a list of objects, or the same as JSON text.

    Raises:
        UnreadableRow: it is neither.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except ValueError:
            raise UnreadableRow("column 'tools' is no JSON") from None
    if not isinstance(value or [], list) or not all(isinstance(tool, dict) for tool in value or []):
        raise UnreadableRow(f"column 'tools' is {describe(value)}, expected a list of objects")
    return cast("list[dict[str, Any]]", value or [])
