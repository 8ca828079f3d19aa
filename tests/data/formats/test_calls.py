"""Calls of functions in the two chat layouts."""

import json
from typing import Any

import pytest

from luthier.data.examples import Conversation, Message, Row, UnreadableRow
from luthier.data.formats import load_format

CALL = {"name": "price", "arguments": {"of": "AAPL"}}
ASKED = Message("user", "AAPL?")
ANSWERED = Message("assistant", "It is 3.")


def read(name: str, **values: Any) -> Any:
    return load_format(name, {}).example(Row(values, "file", 1))


def shared(value: str) -> list[dict[str, str]]:
    return [
        {"from": "human", "value": "AAPL?"},
        {"from": "function_call", "value": value},
        {"from": "observation", "value": "3"},
        {"from": "gpt", "value": "It is 3."},
    ]


@pytest.mark.parametrize(
    "value",
    [
        json.dumps(CALL),
        json.dumps([CALL]),
        json.dumps({"name": "price", "arguments": json.dumps(CALL["arguments"])}),
        json.dumps({"type": "function", "function": CALL}),
    ],
)
def test_a_call_is_the_assistants_and_what_comes_back_the_tools(value: str) -> None:
    made = read("sharegpt", conversations=shared(value))
    assert made == Conversation((ASKED, Message("assistant", "", (CALL,)), Message("tool", "3"), ANSWERED))


@pytest.mark.parametrize(
    "value", ["price(AAPL)", "{}", "[]", '{"name": 3}', '{"name": "price", "arguments": [1]}', '"a"']
)
def test_what_calls_nothing_is_no_call(value: str) -> None:
    with pytest.raises(UnreadableRow, match="turn 2 of column 'conversations' calls no function"):
        read("sharegpt", conversations=shared(value))


HALF = "AAPL \ud83d"


def test_calls_and_tools_with_half_a_character_are_no_text() -> None:
    call = json.dumps(CALL | {"arguments": {"of": [HALF]}})
    with pytest.raises(UnreadableRow, match="turn 2 of column 'conversations' has bytes that are no text"):
        read("sharegpt", conversations=shared(call))
    for tools in ([{"name": "price", "description": HALF}], json.dumps([{"name": HALF}])):
        with pytest.raises(UnreadableRow, match="column 'tools' has bytes that are no text"):
            read("sharegpt", conversations=shared(json.dumps(CALL)), tools=tools)
    with pytest.raises(UnreadableRow, match=r"the unknown role 'AAPL \\ud83d'"):
        read("messages", messages=[{"role": HALF, "content": "a"}])


def test_calls_beside_a_text_keep_their_ids() -> None:
    call = {"id": "call_1", "type": "function", "function": CALL | {"arguments": '{"of": "AAPL"}'}}
    turns = [
        {"role": "user", "content": "AAPL?"},
        {"role": "assistant", "content": None, "tool_calls": [call, call | {"id": "call_2"}]},
        {"role": "tool", "content": "3", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "It is 3.", "tool_calls": []},
    ]
    made = read("messages", messages=turns)
    calls = (CALL | {"id": "call_1"}, CALL | {"id": "call_2"})
    assert made.messages == (ASKED, Message("assistant", "", calls), Message("tool", "3", (), "call_1"), ANSWERED)
    old = [
        turns[0],
        {"role": "assistant", "content": "Wait.", "function_call": CALL},
        {"role": "function", "content": "3"},
    ]
    assert read("messages", messages=old).messages[1:] == (Message("assistant", "Wait.", (CALL,)), Message("tool", "3"))


def test_a_turn_that_says_and_calls_nothing_is_empty() -> None:
    turns = [{"role": "user", "content": "AAPL?"}, {"role": "assistant", "content": None}]
    with pytest.raises(UnreadableRow, match="turn 2 of column 'messages' is empty"):
        read("messages", messages=turns)


def test_calls_count_when_conversations_are_compared() -> None:
    other = CALL | {"arguments": {"of": "IBM"}}
    one, two = (Conversation((ASKED, Message("assistant", "", (call,)))) for call in (CALL, other))
    assert one.comparable != two.comparable
