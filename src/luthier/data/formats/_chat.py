"""What the chat formats share: turns as lists of objects, transcripts, calls of functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, cast

from luthier.data.examples import (
    CALLED,
    Conversation,
    Example,
    Labelled,
    Message,
    Pair,
    UnreadableRow,
    UnwritableExample,
)
from luthier.data.formats import check_inside, describe, text_in

Role = Literal["system", "user", "assistant", "tool"]

MESSAGE_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
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

CALL = "function_call"
"""The ShareGPT speaker whose turns are calls of functions."""


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
        speaker = str(turn[role_key]).casefold()
        role = roles.get(speaker)
        if role is None:
            raise UnreadableRow(f"{what} has the unknown role '{turn[role_key]}'")
        messages.append(_message(turn, role, text_key, what, said=speaker != CALL))
    return messages


def _message(turn: Mapping[str, Any], role: Role, text_key: str, what: str, *, said: bool) -> Message:
    """A turn that says something, calls functions, or (in one layout) both."""
    if not said:
        return Message(role, "", read_calls(turn.get(text_key), what))
    written = turn.get("tool_calls") or turn.get("function_call") if role == "assistant" else None
    calls = read_calls(written, what) if written else ()
    answered = text_in(turn.get("tool_call_id"), f"the call's id of {what}", empty=True)
    return Message(role, text_in(turn.get(text_key), what, empty=bool(calls)), calls, answered)


def read_calls(value: Any, what: str) -> tuple[Mapping[str, Any], ...]:
    """Calls of functions: an object with name and arguments, or a list of them, or either as JSON text.

    Raises:
        UnreadableRow: it is none, or has bytes that are no text; the message begins with `what`.
    """
    try:
        value = json.loads(value) if isinstance(value, str) else value
        calls = [_call(item) for item in (value if isinstance(value, list) else [value])]
    except (ValueError, TypeError, KeyError, AttributeError):
        calls = []
    if not calls:
        raise UnreadableRow(f'{what} calls no function: expected {{"name": ..., "arguments": ...}}')
    check_inside(calls, what)
    return tuple(calls)


def _call(item: Mapping[str, Any]) -> dict[str, Any]:
    inner = item.get("function", item)
    arguments = inner.get("arguments") or {}
    arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    if not isinstance(inner["name"], str) or not isinstance(arguments, dict):
        raise TypeError("name is text, arguments an object")
    return {"name": inner["name"], "arguments": arguments} | ({"id": item["id"]} if item.get("id") else {})


def read_transcript(text: str, speaker: re.Pattern[str]) -> list[Message]:
    """Turns out of one text, such as "Human: ... Assistant: ..."; none when it does not begin with a human's.

    Args:
        text: the transcript.
        speaker: what stands before a turn; its only group is Human or Assistant.

    Raises:
        UnreadableRow: a turn is empty.
    """
    parts = speaker.split(text.strip())
    if parts[:2] != ["", "Human"]:
        return []
    said = zip(parts[1::2], parts[2::2], strict=True)
    turns = [Message("user" if who == "Human" else "assistant", words.strip()) for who, words in said]
    if not all(turn.content for turn in turns):
        raise UnreadableRow("a turn of the conversation is empty")
    return turns


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
        UnreadableRow: it is neither, or has bytes that are no text.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except ValueError:
            raise UnreadableRow("column 'tools' is no JSON") from None
    if not isinstance(value or [], list) or not all(isinstance(tool, dict) for tool in value or []):
        raise UnreadableRow(f"column 'tools' is {describe(value)}, expected a list of objects")
    check_inside(value, "column 'tools'")
    return cast("list[dict[str, Any]]", value or [])


def as_conversation(example: Example) -> Conversation:
    """An example as the chat that a model is shown: a conversation, or a question and its answer.

    Raises:
        UnwritableExample: it is of a kind that would lose something.
    """
    match example:
        case Conversation():
            return example
        case Labelled(text, said, instruction) | Pair(text, said, instruction):
            asked = text if instruction is None else f"{instruction}\n{text}"
        case _:
            raise UnwritableExample(f"{CALLED[type(example)]} is no conversation")
    if instruction is not None and "{labels}" in instruction:
        raise UnwritableExample("its instruction names {labels}, which only a configuration knows")
    return Conversation((Message("user", asked), Message("assistant", said)))


def exchanges(example: Example) -> tuple[str, list[tuple[str, str]]]:
    """A plain chat as its system message ("" for none) and its (question, answer) pairs.

    Raises:
        UnwritableExample: there are tools, or questions and answers do not take turns.
    """
    talk = as_conversation(example)
    if talk.tools or any(message.calls or message.role == "tool" for message in talk.messages):
        raise UnwritableExample("tools and calls of functions have no place in this format")
    system = talk.messages[0].content if talk.messages[0].role == "system" else ""
    turns = talk.messages[bool(system) :]
    if [turn.role for turn in turns] != ["user", "assistant"] * (len(turns) // 2):
        raise UnwritableExample("questions and answers do not take turns")
    said = [turn.content for turn in turns]
    return system, list(zip(said[::2], said[1::2], strict=True))
