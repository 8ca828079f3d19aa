"""What a format writes it reads back, and what it has no room for it refuses."""

import json
from dataclasses import replace
from typing import Any

import pytest

from luthier import registry
from luthier.data.examples import (
    Conversation,
    Document,
    Example,
    Labelled,
    Message,
    MultiLabelled,
    Pair,
    Preference,
    Row,
    Scored,
    TaggedWords,
    UnwritableExample,
)
from luthier.data.formats import Writable, detect, load_format

ASKED, SAID, SYSTEM = Message("user", "Up?"), Message("assistant", "Up."), Message("system", "Be brief.")
CALL = Message("assistant", "", ({"name": "price", "arguments": {"of": "AAPL"}, "id": "c1"},))
BACK = Message("tool", "3", (), "c1")
TOOLS = ({"name": "price", "parameters": {"type": "object"}},)

PLAIN = Conversation((ASKED, SAID))
LONG = Conversation((SYSTEM, ASKED, SAID, Message("user", "Why?"), Message("assistant", "So.")))
CALLING = Conversation((ASKED, CALL, BACK, SAID), TOOLS)
BOTH = Conversation((ASKED, Message("assistant", "Wait.", CALL.calls), BACK, SAID))
CALLING_TWICE = Conversation((ASKED, Message("assistant", "", CALL.calls * 2), BACK, SAID))

HELD: dict[str, list[Example]] = {
    "messages": [PLAIN, LONG, CALLING, BOTH, CALLING_TWICE],
    "sharegpt": [PLAIN, LONG, CALLING, CALLING_TWICE],
    "alpaca": [PLAIN, LONG],
    "prompt_response": [PLAIN],
    "labelled": [Labelled("Profit rose", "up"), Labelled("Profit rose", "up", "Which of {labels}?")],
    "multi_labelled": [MultiLabelled("Profit rose", ("up", "results")), MultiLabelled("Profit rose", ())],
    "scored": [Scored("Profit rose", 0.25)],
    "tagged": [TaggedWords(("Nokia", "rose"), ("B-ORG", "O"))],
    "pair": [Pair("Profit rose", "利润增长"), Pair("Profit rose", "利润增长", "Translate.")],
    "preference": [
        Preference((ASKED,), "Up.", "Down."),
        Preference((SYSTEM, *LONG.messages[1:4]), "Up.", "Human: no\n\nAssistant: yes"),
        Preference((Message("user", "Human: Hi\n\nAssistant: Hello\n\nHuman: Why?"),), "Up.", "Down."),
    ],
    "text": [Document("Profit rose.\n\nCosts fell.")],
}


def test_every_format_that_writes_is_tested_here() -> None:
    assert {name for name in registry.names("format") if isinstance(load_format(name, {}), Writable)} == set(HELD)


@pytest.mark.parametrize(("name", "example"), [(name, example) for name, held in HELD.items() for example in held])
def test_what_is_written_is_read_back_as_json(name: str, example: Example) -> None:
    form: Any = load_format(name, {})
    row = Row(json.loads(json.dumps(form.row(example))), "file", 1)
    assert form.example(row) == example
    if example != MultiLabelled("Profit rose", ()):
        assert detect([row] * 5, {})[0] == name


@pytest.mark.parametrize(
    ("name", "example", "why"),
    [
        ("prompt_response", LONG, "a system message has no place"),
        ("prompt_response", Conversation(LONG.messages[1:]), "more than one question and answer"),
        ("alpaca", CALLING, "tools and calls of functions have no place"),
        ("alpaca", Conversation((ASKED, ASKED, SAID)), "questions and answers do not take turns"),
        ("alpaca", Conversation((ASKED, SAID, ASKED)), "questions and answers do not take turns"),
        ("sharegpt", BOTH, "an answer that also calls a function"),
        ("messages", Preference((ASKED,), "a", "b"), "a preference is no conversation"),
        ("messages", Document("a"), "running text is no conversation"),
        ("labelled", PLAIN, "the format is for a labelled text, this is a conversation"),
        ("text", Labelled("a", "b"), "the format is for running text, this is a labelled text"),
        ("alpaca", Labelled("a", "b", "Which of {labels}?"), "its instruction names {labels}"),
        ("pair", PLAIN, "the format is for a pair of texts, this is a conversation"),
    ],
)
def test_what_would_be_lost_is_refused(name: str, example: Example, why: str) -> None:
    form: Any = load_format(name, {})
    with pytest.raises(UnwritableExample, match=why):
        form.row(example)


@pytest.mark.parametrize("example", [Labelled("Up?", "Up."), Pair("Up?", "Up.")])
@pytest.mark.parametrize("name", ["messages", "sharegpt", "alpaca", "prompt_response"])
def test_a_labelled_text_or_a_pair_is_a_question_and_its_answer(name: str, example: Example) -> None:
    form: Any = load_format(name, {})
    assert form.example(Row(form.row(example), "file", 1)) == PLAIN
    asked = form.example(Row(form.row(replace(example, instruction="Which way?")), "file", 1))
    assert asked.messages[0].content == "Which way?\nUp?"
