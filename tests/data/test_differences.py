import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from luthier.data.differences import differences
from luthier.data.ledger import Entry, LedgerWriter


def row(line: int, **more: Any) -> Entry:
    return Entry(line, "raw", "rows.csv", line, "train", "kept", content=f"hash {line}")._replace(**more)


def ledger(path: Path, *rows: Entry) -> Path:
    with LedgerWriter(path) as writer:
        for entry in rows:
            writer.write(entry)
    return path


@pytest.fixture
def compared(tmp_path: Path) -> Any:
    def run(first: list[Entry], second: list[Entry]) -> tuple[Any, list[dict[str, Any]]]:
        paths = ledger(tmp_path / "a.parquet", *first), ledger(tmp_path / "b.parquet", *second)
        found = differences(*paths, tmp_path / "all.jsonl")
        return found, [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]

    return run


def test_every_kind_of_change(compared: Any) -> None:
    first = [row(line) for line in range(1, 9)]
    second = [row(line) for line in range(1, 9)] + [row(20, split="test")]
    del first[7]  # only in B
    del second[0]  # only in A
    second[0] = row(2, fate="dropped", reason="exact duplicate of row 5")
    second[1] = row(3, split="test")
    second[2] = row(4, content="another", changes="white space evened out")
    first[4] = row(5, fate="quarantined", reason="column 'text' is empty")
    first[5] = row(6, fate="dropped", reason="near-duplicate of row 1")
    second[4] = row(6, fate="dropped", reason="near-duplicate of row 3")
    first[6] = row(7, fate="dropped", reason="too long: 900 tokens")
    second[5] = row(7, fate="dropped", reason="near-duplicate of row 3")
    found, listed = compared(first, second)
    changes = {(change["line"], change["kind"]): (change["before"], change["after"]) for change in listed}
    assert changes == {
        (1, "only in A"): ("kept, train", ""),
        (2, "fate"): ("kept, train", "dropped: exact duplicate of row 5"),
        (3, "split"): ("train", "test"),
        (4, "text"): ("as it stood", "white space evened out"),
        (5, "fate"): ("quarantined: column 'text' is empty", "kept, train"),
        (7, "reason"): ("dropped: too long: 900 tokens", "dropped: near-duplicate of row 3"),
        (8, "only in B"): ("", "kept, train"),
        (20, "only in B"): ("", "kept, test"),
    }
    assert found.rows == {"both": 6, "only in A": 1, "only in B": 2}
    assert found.same == 1
    assert found.counts == {"fate": 2, "only in B": 2, "only in A": 1, "split": 1, "text": 1, "reason": 1}
    assert found.detail["fate", "kept, train", "dropped: exact duplicate of row N"] == 1


def test_a_row_may_change_its_split_and_its_text(compared: Any) -> None:
    _, listed = compared([row(1)], [row(1, split="test", content="another")])
    assert [change["kind"] for change in listed] == ["split", "text"]


def test_the_same_ledger_has_no_changes(compared: Any) -> None:
    rows = [row(line) for line in range(1, 30)]
    found, listed = compared(rows, rows)
    assert (found.same, listed, found.to_dict()["detail"]) == (29, [], [])


def test_order_does_not_matter_and_pieces_do_not_count(compared: Any) -> None:
    rows = [row(line) for line in range(1, 30)]
    pieces = [row(40 + n)._replace(origin="split", line=3, parent_id=3) for n in range(3)]
    found, listed = compared([*rows, *pieces], rows[::-1])
    assert (found.same, listed) == (29, [])


def test_a_file_that_is_named_twice(compared: Any) -> None:
    twice = [row(1), row(2), row(1, row_id=3), row(2, row_id=4)]
    found, _ = compared(twice, [*twice[:2], twice[2]._replace(split="test"), twice[3]])
    assert (found.rows["both"], found.same, found.counts) == (4, 3, {"split": 1})


def test_a_ledger_that_knows_no_contents(tmp_path: Path) -> None:
    new = ledger(tmp_path / "new.parquet", row(1), row(2, split="test"))
    old = tmp_path / "old.parquet"
    pq.write_table(pq.read_table(new).drop_columns(["content"]), old)
    assert differences(old, new).same == 2


def test_many_rows_are_counted_and_few_kept(compared: Any) -> None:
    found, listed = compared([row(line) for line in range(500)], [row(line, split="test") for line in range(500)])
    assert found.counts == {"split": 500}
    assert len(found.examples["split"]) == 5
    assert len(listed) == 500
