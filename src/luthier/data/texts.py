"""The texts inside an example, whatever its kind. Only here is it known which fields are text; labels, tags, scores and
the names of functions and of their arguments are not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, assert_never

from luthier.data.examples import (
    Conversation,
    Document,
    Example,
    Labelled,
    Message,
    MultiLabelled,
    Pair,
    Preference,
    Scored,
    TaggedWords,
)

Change = Callable[[str], str]

_SAID_OF_TOOLS = frozenset(("description", "title", "default", "enum", "const", "examples"))
"""Keywords of a JSON Schema that hold what is said of an argument, and what it can be."""


def map_texts(example: Example, change: Change, *, calls: bool = True) -> Example:
    """The same example with every text changed. A tagged word stays where a change would empty or part it.

    Args:
        example: the example.
        change: what becomes of a text.
        calls: whether the arguments of called functions are texts too, and with them what tools say of themselves and
            of the values they take. Names and numbers stay.
    """
    match example:
        case Labelled() | MultiLabelled() | Scored() | Document():
            return replace(example, text=change(example.text))
        case TaggedWords():
            return replace(example, words=tuple(_word(word, change) for word in example.words))
        case Pair():
            return replace(example, source=change(example.source), target=change(example.target))
        case Preference():
            turns = _turns(example.messages, change, calls)
            return Preference(turns, change(example.chosen), change(example.rejected))
        case Conversation():
            turns = _turns(example.messages, change, calls)
            return Conversation(turns, tuple(_tool(tool, change) for tool in example.tools) if calls else example.tools)
        case _:
            assert_never(example)


def texts(example: Example, *, calls: bool = True) -> tuple[str, ...]:
    """Every text of an example, in the order in which `map_texts` changes them.

    Args:
        example: the example.
        calls: whether the arguments of called functions are texts too. What tools say of themselves never is: it stands
            in every row that offers them.
    """
    match example:
        case Labelled() | MultiLabelled() | Scored() | Document():
            return (example.text,)
        case TaggedWords():
            return example.words
        case Pair():
            return (example.source, example.target)
        case Preference():
            return (*_said(example.messages, calls), example.chosen, example.rejected)
        case Conversation():
            return tuple(_said(example.messages, calls))
        case _:
            assert_never(example)


def question(example: Example) -> str:
    """What a row is about: its text, the source of a pair, what the user says."""
    match example:
        case Pair():
            return example.source
        case TaggedWords():
            return " ".join(example.words)
        case Preference() | Conversation():
            return "\n".join(message.content for message in example.messages if message.role == "user")
        case _:
            return example.text


def answer(example: Example) -> str | None:
    """What is learned as free text: a pair's target, what the assistant says, the better of two answers; None where a
    row has no such answer."""
    match example:
        case Pair():
            return example.target
        case Preference():
            return example.chosen
        case Conversation():
            return "\n".join(message.content for message in example.messages if message.role == "assistant")
        case _:
            return None


def setting(example: Example) -> str:
    """What rows are compared by beside their text: an instruction of their own, or a chat's system turns and the tools
    on offer, as JSON; "" for none.

    In another setting the same text is another row; and as a part of the text it would make short rows alike, for it
    is often long and the same everywhere.
    """
    if isinstance(example, Labelled | Pair):
        return example.instruction or ""
    if not isinstance(example, Conversation | Preference):
        return ""
    tools = example.tools if isinstance(example, Conversation) else ()
    system = [message.content for message in example.messages if message.role == "system"]
    return json.dumps([system, tools], ensure_ascii=False, sort_keys=True, default=str) if system or tools else ""


def asked(example: Example) -> str:
    """What stands before a chat's last answer; "" for other kinds, whose `comparable` has no answer in it."""
    match example:
        case Preference():
            return "\n".join(message.text for message in example.messages)
        case Conversation():
            answers = [place for place, message in enumerate(example.messages) if message.role == "assistant"]
            before = example.messages[: answers[-1]] if answers else ()
            return "\n".join(message.text for message in before)
        case _:
            return ""


def _turns(messages: tuple[Message, ...], change: Change, calls: bool) -> tuple[Message, ...]:
    return tuple(
        replace(
            message,
            content=change(message.content),
            calls=tuple(_called(call, change) for call in message.calls) if calls else message.calls,
        )
        for message in messages
    )


def _called(call: Mapping[str, Any], change: Change) -> Mapping[str, Any]:
    return {**call, "arguments": _changed(call["arguments"], change)}


def _changed(value: Any, change: Change) -> Any:
    """JSON with every string in it changed, apart from keys."""
    if isinstance(value, Mapping):
        return {key: _changed(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_changed(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value


def _tool(schema: Any, change: Change) -> Any:
    """A function's JSON Schema, or a part of it, with descriptions and possible values changed."""
    if isinstance(schema, list):
        return [_tool(inner, change) for inner in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: _changed(inner, change)
        if key in _SAID_OF_TOOLS and not isinstance(inner, Mapping)  # below `properties`, an argument of that name
        else _tool(inner, change)
        for key, inner in schema.items()
    }


def _said(messages: tuple[Message, ...], calls: bool) -> Iterator[str]:
    """The turns' texts, each followed by those of its calls."""
    for message in messages:
        yield message.content
        for call in message.calls if calls else ():
            yield from _strings(call["arguments"])


def _strings(value: Any) -> Iterator[str]:
    """Every string in JSON, apart from keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(inner)


def _word(word: str, change: Change) -> str:
    changed = change(word)
    return changed if len(changed.split()) == 1 else word
