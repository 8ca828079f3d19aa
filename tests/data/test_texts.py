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


def test_a_tagged_word_is_never_lost_or_parted():
    example = TaggedWords(("ab", "c"), ("o", "x"))
    assert map_texts(example, lambda word: "" if word == "c" else "a b") == example
