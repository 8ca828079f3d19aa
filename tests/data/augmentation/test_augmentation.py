"""What all ways of making new rows have in common."""

from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from luthier import registry
from luthier.config import DataConfig
from luthier.data.augmentation import Augmentation, AugmentationOptions, answers, asked_text, with_asked_text
from luthier.data.augmentation._telling import telling_words
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

TURNS = (Message("user", "first"), Message("assistant", "so"), Message("user", "asked"))
ASKED: list[Example] = [
    Labelled("asked", "up"),
    MultiLabelled("asked", ("up", "down")),
    Scored("asked", 0.5),
    Pair("asked", "target"),
    Conversation((*TURNS, Message("assistant", "answer"))),
    Preference(TURNS, "good", "bad"),
]


class Doubled(Augmentation):
    """Says everything twice."""

    Options = AugmentationOptions

    def variants(self, example: Example, random: Random) -> Any:
        yield with_asked_text(example, f"{asked_text(example)} {asked_text(example)}"), "doubled"


def doubled(rows: list[tuple[int, Example]], **options: Any) -> list[int]:
    step = Doubled(AugmentationOptions(name="doubled", **options), DataConfig.model_validate({"train": "rows.jsonl"}))
    return [row.parent for row in step.make(rows)]


@pytest.mark.parametrize("name", registry.names("augmentation"))
def test_contract(name: str) -> None:
    way = registry.load("augmentation", name)
    assert issubclass(way, Augmentation)
    assert issubclass(way.Options, AugmentationOptions)


@pytest.mark.parametrize("example", ASKED, ids=lambda example: type(example).__name__)
def test_the_text_that_is_asked_about(example: Example) -> None:
    assert asked_text(example) == "asked"
    other = with_asked_text(example, "other")
    assert asked_text(other) == "other"
    assert with_asked_text(other, "asked") == example


@pytest.mark.parametrize("example", [Document("a"), TaggedWords(("a",), ("O",))])
def test_running_text_asks_about_nothing(example: Example) -> None:
    assert asked_text(example) is None
    with pytest.raises(ValueError, match="asks about no text"):
        with_asked_text(example, "b")


def test_answers_are_labels_or_the_last_turn() -> None:
    assert [answers(example) for example in ASKED] == [("up",), ("up", "down"), (), (), ("answer",), ()]


def test_a_share_of_the_rows_is_drawn_by_the_seed_whatever_stands_around_them() -> None:
    rows: list[tuple[int, Example]] = [(number, Labelled(f"row {number}", "up")) for number in range(400)]
    chosen = doubled(rows, share=0.25)
    assert 70 < len(chosen) < 130
    assert doubled(rows, share=0.25) == chosen
    assert doubled(rows[200:], share=0.25) == [row for row in chosen if row >= 200]
    assert doubled(rows, share=0.25, seed=1) != chosen
    assert len(doubled(rows)) == 400


def test_rows_of_some_labels_only() -> None:
    rows: list[tuple[int, Example]] = [
        (0, Labelled("a", "up")),
        (1, Labelled("b", "down")),
        (2, MultiLabelled("c", ("flat", "down"))),
        (3, Conversation((Message("user", "d"), Message("assistant", "down")))),
    ]
    assert doubled(rows, labels=["down"]) == [1, 2, 3]


def test_options_are_checked() -> None:
    with pytest.raises(ValidationError):
        AugmentationOptions(name="x", share=0)
    with pytest.raises(ValidationError):
        DataConfig.model_validate({"train": "rows.jsonl", "augment": ["synonim"]})


def test_words_that_tell_the_label() -> None:
    rows = [
        Labelled(f"the group {'Soared' if up else 'plunged'} in {('Turku', 'Lima', 'Osaka')[number % 3]}", label)
        for number in range(60)
        for label, up in (("up", True), ("down", False))
    ]

    def words(text: str) -> list[str]:
        return text.lower().split()

    assert telling_words(rows, words) == {"soared", "plunged"}
    assert telling_words(rows[:8], words) == set(), "four rows are no evidence"
    assert telling_words([Document("soared")] * 50, words) == set()
