"""Rows that hold several examples: each is judged by itself, their row's line says what became of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luthier.config import RunConfig
from luthier.data.examples import Conversation, Labelled
from luthier.data.intake import iterate_examples
from luthier.data.ledger import Entry, read_ledger
from luthier.data.prepare import Prepared, prepare
from luthier.data.profile import profile
from luthier.data.records import Rejected, TokenSequence
from luthier.errors import DataError

TABLE = [["", "2024", "2023"], ["Sales", "12.5", "11.0"], ["Costs", "4.0", "3.5"], ["Profit", "8.5", "7.5"]]
STORY = "The company sells machines for paper mills in forty countries, and most of its sales are in euros."
ASKED = ["What were sales in 2024?", "What were sales in 2023?", "What was the profit in 2024?", "What were costs?"]


class Tokenizer:
    chat_template = "{{ messages }}"


class Words:
    """A token a word; whatever says LONG does not fit."""

    kinds = (Conversation, Labelled)

    def encode(self, examples: Any, renderer: Any) -> list[Any]:
        return [self._one(row_id, example) for row_id, example in examples]

    def _one(self, row_id: int, example: Any) -> Any:
        if "LONG" in example.comparable:
            return Rejected("too long: 900 tokens, data.max_length is 512")
        ids = [sum(word.encode()) for word in example.comparable.split()]
        return [TokenSequence(ids, [True] * len(ids), 0, row_id, example.comparable, None)]


def report(number: int, *answers: Any) -> dict[str, Any]:
    """A table of its own with a question an answer."""
    sites = [[f"Site {number * 37 % 101} of {place}", str(number * place + 3)] for place in range(9)]
    questions = [{"question": ask, "answer": said} for ask, said in zip(ASKED, answers, strict=False)]
    return {"table": TABLE + sites, "paragraphs": [STORY], "questions": questions}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Prepared]:
    def prepared(rows: list[dict[str, Any]], **data: Any) -> Prepared:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        config = RunConfig.model_validate({"model": {"base": "none"}, "data": {"train": str(path), **data}})
        return prepare(config, Words(), Tokenizer(), "tokens", cache=tmp_path / ".cache")

    return prepared


def ledger(prepared: Prepared) -> list[Entry]:
    return list(read_ledger(prepared.ledger))


WHOLE: dict[str, Any] = {"split": {"test": 0, "validation": 0}, "tolerance": 1.0}


def test_a_row_and_its_examples_have_lines_of_their_own(run: Callable[..., Prepared]) -> None:
    prepared = run([report(1, "12.5", "11.0", ""), report(2, "1")], **WHOLE, clean=[])
    assert [(line.row_id, line.parent_id, line.origin, line.fate, line.line) for line in ledger(prepared)] == [
        (0, None, "raw", "kept", 1),
        (1, 0, "part", "kept", 1),
        (2, 0, "part", "kept", 1),
        (3, 0, "part", "quarantined", 1),
        (4, None, "raw", "kept", 2),
    ]
    assert ledger(prepared)[0].changes == "holds 3 examples"
    assert ledger(prepared)[3].reason == "the answer to question 3 is empty"
    assert (prepared.summary.rows_in, prepared.summary.kept, prepared.summary.rows) == (2, 2, {"train": 3})
    assert [record.row_id for record in prepared.train] == [1, 2, 4]


def test_a_row_is_as_lost_as_all_its_examples(run: Callable[..., Prepared]) -> None:
    prepared = run([report(1, "12.5"), report(2, "", None), report(3, "LONG", "LONG")], **WHOLE)
    fates = {line.row_id: (line.fate, line.reason) for line in ledger(prepared) if line.origin == "raw"}
    assert fates == {
        0: ("kept", ""),
        1: ("quarantined", "none of its examples is kept: the answer to question 1 is empty"),
        4: ("dropped", "none of its examples is kept: too long: 900 tokens, data.max_length is 512"),
    }
    assert prepared.summary.kept == 1


def test_questions_about_one_table_are_no_duplicates_of_each_other(run: Callable[..., Prepared]) -> None:
    same = report(1, "12.5", "11.0")
    same["questions"].append(same["questions"][0])
    lines = ledger(run([same, report(1, "12.5")], **WHOLE))
    assert [line.fate for line in lines] == ["kept", "kept", "kept", "dropped", "dropped"]
    assert lines[3].reason == "exact duplicate of row 1"  # the same question twice is one
    assert lines[4].reason == "exact duplicate of row 1"


def test_examples_of_one_row_stay_in_one_split(run: Callable[..., Prepared]) -> None:
    rows = [report(number, "1", "2", "3", "4") for number in range(20)]
    lines = ledger(run(rows, split={"test": 0.2, "validation": 0.1}, clean=[]))
    raw = {line.row_id: line.split for line in lines if line.origin == "raw"}
    assert sum(split == "test" for split in raw.values()) == 4
    parts = [line for line in lines if line.origin == "part" and line.fate == "kept"]
    assert parts
    assert all(line.split == raw[line.parent_id or 0] for line in parts)


def test_tolerance_counts_examples(run: Callable[..., Prepared]) -> None:
    rows = [report(number, "1", "2", "3", "") for number in range(5)]
    with pytest.raises(DataError, match=r"5 of 20 rows \(25.0%\)"):
        run(rows, **WHOLE | {"tolerance": 0.24})
    assert run(rows, **WHOLE | {"tolerance": 0.25, "clean": []}).summary.rows == {"train": 15}


def test_labels_of_entities_are_labels(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("Title,Decisions\nNokia gains on Telia,\"{'Nokia': 'up', 'Telia': 'down'}\"\nCalm,{'SEB': 'odd'}\n")
    data = {"train": str(path), "labels": ["up", "down"], "split": {"by": "group:Title"}}
    taken = list(iterate_examples(RunConfig.model_validate({"model": {"base": "none"}, "data": data})))
    assert [(row.row_id, row.parent_id, row.parts, row.key, row.reason) for row in taken] == [
        (0, None, 2, None, ""),
        (1, 0, 0, "Nokia gains on Telia", ""),
        (2, 0, 0, "Nokia gains on Telia", ""),
        (3, None, 0, None, "label 'odd' is not among data.labels"),
    ]
    seen = profile(str(path))
    assert (seen.format, seen.rows, seen.labels) == ("entity_labels", 3, {"up": 1, "down": 1, "odd": 1})


def test_a_profile_counts_duplicates_as_preparation_does(tmp_path: Path, run: Callable[..., Prepared]) -> None:
    """Questions about one table have most of their text in common; the same table in another row is a duplicate."""
    again = report(1, "12.5", "11.0", "8.5") | {"paragraphs": [STORY + " It was founded long ago."]}
    for rows, near in (([report(1, "12.5", "11.0", "8.5")], 0), ([report(1, "12.5", "11.0", "8.5"), again], 3)):
        lines = ledger(run(rows, **WHOLE))
        dropped = [line.reason for line in lines if line.fate == "dropped" and line.origin == "part"]
        assert [reason.startswith("near-duplicate") for reason in dropped] == [True] * near
        seen = profile(str(tmp_path / "rows.jsonl"))
        assert (seen.rows, seen.exact_duplicates, seen.near_duplicates) == (3 * len(rows), 0, near)
