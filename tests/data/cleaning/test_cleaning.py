import numpy as np
import pytest
from pydantic import ValidationError

from luthier import registry
from luthier.data.cleaning import CleaningStep, RowSet
from luthier.data.cleaning.deduplicate import Deduplicate, DeduplicateOptions
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
from luthier.data.similarity import Signer

LONG = "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn in the same period of the year before"


def judge(texts: list[str], labels: list[int] | None = None, near: float | None = 0.8) -> dict[int, str]:
    signer = Signer()
    signer.add(texts)
    rows = RowSet(
        np.arange(len(texts)), signer.finish(), np.array(labels or [0] * len(texts), np.int32), texts.__getitem__
    )
    return dict(Deduplicate(DeduplicateOptions(near=near)).judge(rows))


@pytest.mark.parametrize("name", registry.names("cleaning"))
def test_contract(name: str) -> None:
    step = registry.load("cleaning", name)
    options = step.Options()
    assert options.name == name
    made = step(options)
    assert isinstance(made, CleaningStep)
    example = Labelled("Profit rose", "up")
    repaired, _ = made.repair(example)
    assert isinstance(repaired, Labelled)


def test_the_first_row_wins_and_reasons_name_it() -> None:
    texts = [LONG, "Sales fell", LONG + " now", "Sales  fell", LONG]
    assert judge(texts) == {
        2: "near-duplicate of row 0",
        3: "exact duplicate of row 1",
        4: "exact duplicate of row 0",
    }


def test_another_label_is_said() -> None:
    assert judge([LONG, LONG, LONG + "!"], [0, 1, 1]) == {
        1: "exact duplicate of row 0 with another label",
        2: "near-duplicate of row 0 with another label",
    }


def test_exact_only() -> None:
    assert judge([LONG, LONG + "!", LONG.upper(), LONG], near=None) == {3: "exact duplicate of row 0"}


def test_different_rows_stay() -> None:
    assert judge(["profit rose", "profit fell", "增长", "下降", LONG, LONG[::-1]]) == {}
    assert judge([]) == {}


def test_thresholds_are_checked() -> None:
    with pytest.raises(ValidationError):
        DeduplicateOptions(near=1.2)


@pytest.mark.parametrize(
    ("example", "text", "classes"),
    [
        (Labelled("a", "b"), "a", ("b",)),
        (MultiLabelled("a", ("b", "c")), "a", ("b", "c")),
        (Scored("a", 0.5), "a", ()),
        (TaggedWords(("a", "b"), ("O", "O")), "a b", ("O",)),
        (Pair("a", "b"), "a", ()),
        (Preference((Message("user", "a"),), "b", "c"), "a\nb\nc", ()),
        (Document("a"), "a", ()),
        (Conversation((Message("user", "a"), Message("assistant", "b"))), "a\nb", ()),
    ],
)
def test_what_rows_are_compared_by(example: Example, text: str, classes: tuple[str, ...]) -> None:
    assert example.comparable == text
    assert example.classes == classes
