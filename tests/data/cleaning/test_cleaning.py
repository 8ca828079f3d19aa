from pathlib import Path
from typing import Any

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
    Row,
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


NEEDED = {"chinese_script": "opencc", "language": "py3langid"}
"""Steps whose libraries are extras."""

REQUIRED: dict[str, dict[str, Any]] = {
    "contamination": {"benchmarks": {"mine": "bench.txt"}},
    "domain_terms": {"terms": ["profit"]},
    "language": {"keep": ["en"]},
    "relevance": {"terms": ["profit"]},
    "rules": {"rules": [{"name": "prices", "pattern": r"\d+", "replace": "0"}]},
}
EXAMPLES: list[Example] = [
    Labelled("Operating profit rose to 13.1 mn", "up"),
    MultiLabelled("Operating profit rose to 13.1 mn", ("up", "results")),
    Scored("Operating profit rose to 13.1 mn", 0.5),
    TaggedWords(("Profit", "rose"), ("O", "O")),
    Pair("Operating profit rose to 13.1 mn", "利润增长"),
    Preference((Message("user", "Which company grew the most?"),), "The first of the two", "Neither of them did"),
    Document("Operating profit rose.\n\nSales fell."),
    Conversation((Message("user", "What is the profit margin?"), Message("assistant", "Profit divided by sales."))),
]


@pytest.mark.parametrize("name", registry.names("cleaning"))
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_contract(name: str, example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step takes every kind of example, leaves ordinary ones alone and says the same twice."""
    monkeypatch.chdir(tmp_path)
    Path("bench.txt").write_text("A sentence that nobody has ever said about anything before\n")
    if name in NEEDED:
        pytest.importorskip(NEEDED[name], reason=f"{name} needs an extra that is not installed")
    kind = registry.load("cleaning", name)
    options = kind.Options(**REQUIRED.get(name, {}))
    assert options.name == name
    made = kind(options)
    assert isinstance(made, CleaningStep)
    repaired, change = made.repair(example, Row({}, "rows.jsonl", 1))
    assert type(repaired) is type(example)
    assert repaired.classes == example.classes
    assert (repaired == example) == (change is None)
    assert made.repair(repaired, Row({}, "rows.jsonl", 1)) == (repaired, None), "repaired once is repaired"
    if name != "rules":
        assert change is None
    assert all(file.digest() for file in made.files())


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
