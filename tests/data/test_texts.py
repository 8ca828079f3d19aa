import pytest

from luthier.data.examples import (
    Conversation,
    Document,
    Labelled,
    Message,
    MultiLabelled,
    Pair,
    Preference,
    Scored,
    TaggedWords,
)
from luthier.data.texts import answer, map_texts, question, texts

CHAT = (Message("system", "s"), Message("user", "u"), Message("assistant", "a"))


@pytest.mark.parametrize(
    ("example", "changed", "asked", "answered"),
    [
        (Labelled("t", "l"), Labelled("T", "l"), "t", None),
        (MultiLabelled("t", ("l",)), MultiLabelled("T", ("l",)), "t", None),
        (Scored("t", 1.0), Scored("T", 1.0), "t", None),
        (Document("t"), Document("T"), "t", None),
        (TaggedWords(("t", "w"), ("o", "o")), TaggedWords(("T", "W"), ("o", "o")), "t w", None),
        (Pair("s", "t", "i"), Pair("S", "T", "i"), "s", "t"),
        (
            Preference((Message("user", "u"),), "c", "r"),
            Preference((Message("user", "U"),), "C", "R"),
            "u",
            "c",
        ),
        (
            Conversation(CHAT, ({"name": "tool"},)),
            Conversation(
                (Message("system", "S"), Message("user", "U"), Message("assistant", "A")), ({"name": "tool"},)
            ),
            "u",
            "a",
        ),
    ],
)
def test_texts_of_every_kind(example, changed, asked, answered):
    assert map_texts(example, str.upper) == changed
    assert tuple(text.upper() for text in texts(example)) == texts(changed)
    assert (question(example), answer(example)) == (asked, answered)


CALL = {"name": "send", "arguments": {"to": ["ann", "bo"], "body": {"text": "hi", "size": 12}}, "id": "c1"}
CALLED = {"name": "send", "arguments": {"to": ["ANN", "BO"], "body": {"text": "HI", "size": 12}}, "id": "c1"}


@pytest.mark.parametrize("kind", [Conversation, lambda messages: Preference(messages, "c", "r")])
def test_arguments_of_calls_are_texts(kind):
    example = kind((Message("user", "u"), Message("assistant", "a", (CALL,))))
    assert map_texts(example, str.upper).messages == (Message("user", "U"), Message("assistant", "A", (CALLED,)))
    assert texts(example)[:5] == ("u", "a", "ann", "bo", "hi")
    assert tuple(text.upper() for text in texts(example)) == texts(map_texts(example, str.upper))
    assert texts(example, calls=False)[:2] == ("u", "a")
    assert "ann" not in texts(example, calls=False)
    assert map_texts(example, str.upper, calls=False).messages[1] == Message("assistant", "A", (CALL,))


def test_of_tools_only_descriptions_and_values_are_changed():
    def tool(description, value):
        title = {"type": "string", "description": description, "enum": [value, 3]}
        schema = {"type": "object", "properties": {"title": title}, "required": ["title"]}
        return {"type": "function", "function": {"name": "send", "description": description, "parameters": schema}}

    example = Conversation((Message("user", "u"),), (tool("sends it", "ann"),))
    assert map_texts(example, str.upper) == Conversation((Message("user", "U"),), (tool("SENDS IT", "ANN"),))
    assert map_texts(example, str.upper, calls=False).tools == example.tools
    assert texts(example) == ("u",)


def test_a_tagged_word_is_never_lost_or_parted():
    example = TaggedWords(("ab", "c"), ("o", "x"))
    assert map_texts(example, lambda word: "" if word == "c" else "a b") == example
