"""New rows in a preparation: after the splits, checked against all others, in the ledger."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from luthier.config import RunConfig
from luthier.data.examples import Example, Labelled
from luthier.data.ledger import Entry, read_ledger
from luthier.data.prepare import Prepared, prepare
from luthier.data.records import Encoded, TokenSequence
from luthier.data.writing import write_preparation

WORDS = ["amber", "bridge", "candle", "dolphin", "engine", "forest", "garden", "harbour", "island", "jacket", "kettle"]
ASKED = "Which way?"


class Words:
    """A token of every word, those of a question of its own too."""

    kinds = (Labelled,)

    def encode(self, examples: Sequence[tuple[int, Example]], renderer: Any) -> list[Encoded]:
        return [[self._one(row_id, example)] for row_id, example in examples if isinstance(example, Labelled)]

    def _one(self, row_id: int, example: Labelled) -> TokenSequence:
        ids = [sum(word.encode()) for word in f"{example.instruction or ASKED} {example.text}".split()]
        return TokenSequence(ids, [place > 0 for place in range(len(ids))], 1, row_id, example.text, example.label)


def text(number: int) -> str:
    return " ".join(
        WORDS[(number * 3 + place * place * (number % 4 + 1)) % 11] + str(number + place) for place in range(8)
    )


def write(path: Path, numbers: Sequence[int], **more: str) -> Path:
    rows = [{"text": text(number), "label": "up" if number % 2 else "down"} | more for number in numbers]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(path: Path, **data: Any) -> Prepared:
    settings = {"train": str(path), "instruction": ASKED} | data
    config = RunConfig.model_validate({"model": {"base": "none"}, "data": settings})
    return prepare(config, Words(), SimpleNamespace(chat_template="x"), "t", cache=path.parent / ".cache")


def ledger(prepared: Prepared) -> list[Entry]:
    return list(read_ledger(prepared.ledger))


@pytest.fixture
def translator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`translator(table)` is a way of augmenting that turns texts into those of a table; others stay."""

    def install(table: dict[str, str]) -> dict[str, Any]:
        folder = tmp_path / "planted"
        info = folder / "planted-1.0.dist-info"
        info.mkdir(parents=True)
        code = f"TABLE = {table!r}\ndef turn(text, source, target):\n    return TABLE.get(text, text)\n"
        (folder / "planted.py").write_text(code)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[luthier.translator]\nplanted = planted:turn\n")
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(__import__("sys").modules, "planted", raising=False)
        return {"name": "back_translation", "translator": "planted"}

    return install


def test_new_rows_are_training_rows_with_a_parent(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", range(40))
    plain = run(path)
    made = run(path, augment=[{"name": "paraphrase", "wordings": ["Up or down?", "How does it go?"], "copies": 2}])
    lines = ledger(made)
    new = lines[40:]
    train = [line.row_id for line in lines[:40] if line.split == "train"]
    assert [(line.row_id, line.parent_id) for line in new] == list(
        enumerate([n for n in train for _ in "ab"], start=40)
    )
    assert {(line.origin, line.split, line.fate, line.changes) for line in new} == {
        ("augmented", "train", "kept", "asked in other words")
    }
    assert all((line.file, line.line) == (lines[line.parent_id].file, lines[line.parent_id].line) for line in new)
    assert [len(each) for each in (made.train, made.validation, made.test)] == [3 * len(plain.train), 4, 4]
    assert [record.row_id for record in made.test] == [record.row_id for record in plain.test]
    tokens = {line.row_id: line.tokens for line in lines}
    assert all(tokens[record.row_id] == len(record.ids) for record in made.train)
    assert (made.summary.rows_in, made.summary.kept) == (40, 40)
    assert made.summary.origins == {"augmented": 64}
    assert made.digest != plain.digest
    assert "data.augment: paraphrase made 64 new rows" in made.notes


def test_the_same_seed_makes_the_same_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", range(40))
    way = {"name": "paraphrase", "wordings": ["Up or down?", "How does it go?", "Rising?"], "share": 0.5}
    first = run(path, augment=[way])
    contents = {file.name: file.read_bytes() for file in first.folder.iterdir()}
    first.folder.rename(tmp_path / "elsewhere")
    assert {file.name: file.read_bytes() for file in run(path, augment=[way]).folder.iterdir()} == contents
    other = run(path, augment=[way | {"seed": 1}])
    assert (other.folder / "augmented.arrow").read_bytes() != contents["augmented.arrow"]


def test_what_repeats_a_row_is_refused_and_named(tmp_path: Path, translator: Any) -> None:
    path = write(tmp_path / "rows.jsonl", range(6))
    data = {"split": {"test": 0, "validation": 0}}
    way = translator({text(0): "something new", text(1): text(4), text(2): "  something   new", text(3): "newer"})
    lines = ledger(run(path, augment=[way], **data))[6:]
    assert [(line.parent_id, line.fate, line.reason) for line in lines] == [
        (0, "kept", ""),
        (1, "dropped", "exact duplicate of row 4"),
        (2, "dropped", "exact duplicate of row 6"),
        (3, "kept", ""),
        (4, "dropped", "exact duplicate of row 4"),
        (5, "dropped", "exact duplicate of row 5"),
    ]
    made = run(path, augment=[way], **data)
    assert "data.augment: back_translation made 2 new rows and 4 that were refused" in made.notes
    assert ("dropped", "exact duplicate of row N", 4) in made.summary.reasons


def test_a_new_row_that_gives_a_test_row_away_is_a_leak(tmp_path: Path, translator: Any) -> None:
    path = write(tmp_path / "rows.jsonl", range(6))
    test = write(tmp_path / "test.jsonl", [100, 101])
    validation = write(tmp_path / "validation.jsonl", [200])
    way = translator({text(0): text(100) + "!", text(1): text(200) + "?", text(2): text(2) + " new"})
    lines = ledger(run(path, augment=[way], test=str(test), validation=str(validation), clean=[]))
    new = {line.parent_id: (line.fate, line.reason) for line in lines if line.origin == "augmented"}
    assert new[0] == ("dropped", "leak: near-duplicate of test row 7")
    assert new[1] == ("dropped", "leak: near-duplicate of validation row 6")
    assert new[2] == ("kept", "")


def test_rows_know_their_source_and_who_wrote_them(tmp_path: Path) -> None:
    first = write(tmp_path / "first.jsonl", range(10))
    second = write(tmp_path / "second.jsonl", range(50, 60), luthier_origin="generated")
    data = {"train": [str(first), {"path": str(second), "weight": 2}], "split": {"test": 0, "validation": 0}}
    made = run(first, **data, augment=[{"name": "paraphrase", "wordings": ["Up or down?"]}])
    assert made.train.sources.tolist() == ([0] * 10 + [1] * 10) * 2
    assert [line.origin for line in ledger(made)] == ["raw"] * 10 + ["generated"] * 10 + ["augmented"] * 20
    assert made.summary.rows_in == 20
    assert made.summary.origins == {"generated": 10, "augmented": 20}
    lighter = {"train": [str(first), str(second)], "split": {"test": 0, "validation": 0}}
    again = run(first, **lighter, augment=[{"name": "paraphrase", "wordings": ["Up or down?"]}])
    assert again.digest == made.digest, "weights act when rows are drawn"


def test_what_a_model_wrote_is_never_carved_out(tmp_path: Path) -> None:
    first = write(tmp_path / "first.jsonl", range(20))
    second = write(tmp_path / "second.jsonl", range(50, 70), luthier_origin="generated")
    made = run(first, train=[str(first), str(second)], split={"test": 0.2, "validation": 0.2}, clean=[])
    lines = [line for line in ledger(made) if line.fate == "kept"]
    assert {line.split for line in lines if line.origin == "generated"} == {"train"}
    assert sum(line.split == "test" for line in lines) == 4, "a share of the other rows"


def test_other_wordings_survive_the_files_of_a_preparation(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", range(10))
    data = {"split": {"test": 0, "validation": 0}}
    made = run(path, **data, augment=[{"name": "paraphrase", "wordings": ["Rising?", "Up or down?"], "copies": 2}])
    assert write_preparation(made, "", tmp_path / "out")["train"] == 30
    again = run(tmp_path / "out" / "train.jsonl", **data)
    assert sorted(record.ids for record in again.train) == sorted(record.ids for record in made.train)
    write(path, [*range(10), 3])
    assert [line.reason for line in ledger(run(path, **data)) if line.reason] == ["exact duplicate of row 3"]


def test_an_augmented_row_is_there_to_look_at(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", range(10))
    made = run(path, split={"test": 0, "validation": 0}, augment=[{"name": "paraphrase", "wordings": ["Rising?"]}])
    assert made.examples[13].example == Labelled(text(3), "up", "Rising?")
    assert made.examples[13].parent_id == 3
    assert len(run(path).examples) == 10, "without data.augment there are only the rows of files"
