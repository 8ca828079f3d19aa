"""The texts inside an example, whatever its kind. Only here is it known which fields are text; labels, tags, scores and
descriptions of tools are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

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


def map_texts(example: Example, change: Change) -> Example:
    """The same example with every text changed. A tagged word stays where a change would empty or part it."""
    match example:
        case Labelled() | MultiLabelled() | Scored() | Document():
            return replace(example, text=change(example.text))
        case TaggedWords():
            return replace(example, words=tuple(_word(word, change) for word in example.words))
        case Pair():
            return replace(example, source=change(example.source), target=change(example.target))
        case Preference():
            return Preference(_turns(example.messages, change), change(example.chosen), change(example.rejected))
        case Conversation():
            return replace(example, messages=_turns(example.messages, change))
        case _:
            assert_never(example)


def texts(example: Example) -> tuple[str, ...]:
    """Every text of an example, in the order in which `map_texts` changes them."""
    match example:
        case Labelled() | MultiLabelled() | Scored() | Document():
            return (example.text,)
        case TaggedWords():
            return example.words
        case Pair():
            return (example.source, example.target)
        case Preference():
            return (*(message.content for message in example.messages), example.chosen, example.rejected)
        case Conversation():
            return tuple(message.content for message in example.messages)
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


def said_with(example: Example) -> str:
    """What rows are compared by beside their text, for with another one the same text is another row: an instruction of
    their own, or the tools that a conversation may call, as JSON; "" for neither."""
    if isinstance(example, Labelled | Pair):
        return example.instruction or ""
    tools = example.tools if isinstance(example, Conversation) else ()
    return json.dumps(tools, ensure_ascii=False, sort_keys=True, default=str) if tools else ""


def _turns(messages: tuple[Message, ...], change: Change) -> tuple[Message, ...]:
    return tuple(replace(message, content=change(message.content)) for message in messages)


def _word(word: str, change: Change) -> str:
    changed = change(word)
    return changed if len(changed.split()) == 1 else word
