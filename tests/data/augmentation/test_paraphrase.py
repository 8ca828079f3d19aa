"""The same question in other words."""

from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from luthier.config import DataConfig
from luthier.data.augmentation.paraphrase import Paraphrase, ParaphraseOptions
from luthier.data.examples import Conversation, Document, Example, Labelled, Message, Pair
from luthier.data.rendering import Renderer

WORDINGS = ["Which way?", "Which way does it point: {labels}?", "Up or down?"]


def variants(example: Example, *, seed: int = 0, instruction: str | None = None, **options: Any) -> list[Example]:
    data = DataConfig.model_validate({"train": "rows.jsonl", "instruction": instruction})
    step = Paraphrase(ParaphraseOptions(**{"wordings": WORDINGS} | options), data)
    return [made for made, change in step.variants(example, Random(seed))]


def test_labelled_texts_are_asked_other_instructions() -> None:
    made = variants(Labelled("Profit rose.", "up"), copies=5)
    assert {row.instruction for row in made} == set(WORDINGS)
    assert {(row.text, row.label) for row in made} == {("Profit rose.", "up")}
    assert {row.instruction for row in variants(Pair("one", "eins"), copies=2)} < set(WORDINGS)


def test_the_wording_that_is_configured_is_left_out() -> None:
    made = variants(Labelled("Profit rose.", "up"), copies=5, instruction=WORDINGS[0])
    assert {row.instruction for row in made} == set(WORDINGS[1:])


def test_a_conversations_question_is_reworded_and_the_rest_stays() -> None:
    turns = (Message("user", "Which way?\nProfit rose."), Message("assistant", "up"))
    [made] = variants(Conversation(turns))
    assert made.messages[1] == turns[1]
    assert made.messages[0].content in {f"{wording}\nProfit rose." for wording in WORDINGS[1:]}
    assert variants(Conversation((Message("user", "How far?"), turns[1]))) == []
    assert variants(Document("Which way?")) == []


def test_which_wordings_are_drawn_depends_on_the_seed() -> None:
    row = Labelled("Profit rose.", "up")
    assert variants(row, seed=1) == variants(row, seed=1)
    assert len({variants(row, seed=seed)[0].instruction for seed in range(20)}) == 3


def test_rows_are_rendered_with_their_own_question() -> None:
    renderer = Renderer(None, "", instruction="Which way?", labels=("down", "up"))
    [asked, answer] = renderer.conversation(Labelled("Profit rose.", "up", WORDINGS[1])).messages
    assert asked.content == "Which way does it point: down, up?\nProfit rose."
    assert renderer.conversation(Labelled("Profit rose.", "up")).messages[0].content == "Which way?\nProfit rose."
    assert answer.content == "up"


def test_wordings_are_required() -> None:
    with pytest.raises(ValidationError):
        ParaphraseOptions()
