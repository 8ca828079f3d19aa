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
            return Pair(change(example.source), change(example.target))
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


def setting(example: Example) -> str:
    """What a chat is held in, its system turns and the tools on offer, as JSON; "" for neither.

    Rows are compared by it beside their text: it is often long and the same everywhere, and would make any two short
    chats alike.
    """
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


def _turns(messages: tuple[Message, ...], change: Change) -> tuple[Message, ...]:
    return tuple(replace(message, content=change(message.content)) for message in messages)


def _word(word: str, change: Change) -> str:
    changed = change(word)
    return changed if len(changed.split()) == 1 else word
