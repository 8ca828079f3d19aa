"""Examples as rows that people read, and that every format reads back: the reverse of `luthier.data.formats`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luthier.data.examples import (
    Conversation,
    Example,
    Labelled,
    Message,
    MultiLabelled,
    Pair,
    Preference,
    Scored,
    TaggedWords,
)


def readable(example: Example) -> dict[str, Any]:
    """An example as the row that its format's documentation shows."""
    match example:
        case Labelled(text, label):
            return {"text": text, "label": label}
        case MultiLabelled(text, labels):
            return {"text": text, "labels": list(labels)}
        case Scored(text, score):
            return {"text": text, "score": score}
        case TaggedWords(words, tags):
            return {"words": list(words), "tags": list(tags)}
        case Pair(source, target):
            return {"source": source, "target": target}
        case Preference(messages, chosen, rejected):
            return {"prompt": _turns(messages), "chosen": chosen, "rejected": rejected}
        case Conversation(messages, tools):
            return {"messages": _turns(messages)} | ({"tools": list(tools)} if tools else {})
        case _:
            return {"text": example.comparable}


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]
