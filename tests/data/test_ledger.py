from pathlib import Path

import pytest

from luthier.data.ledger import Entry, LedgerWriter, Summary, places, read_ledger, read_raw, reason_class, summarise

KEPT = Entry(0, "raw", "rows.csv", 2, "train", "kept", tokens=10, supervised=3)
ENTRIES = [
    KEPT,
    KEPT._replace(row_id=1, split="test", tokens=20),
    KEPT._replace(row_id=2, fate="dropped", reason="near-duplicate of row 17", tokens=0, supervised=0),
    KEPT._replace(row_id=3, fate="dropped", reason="near-duplicate of row 4", tokens=0, supervised=0),
    KEPT._replace(row_id=4, fate="quarantined", reason="column 'text' is empty", tokens=0, supervised=0),
    KEPT._replace(row_id=5, fate="dropped", reason="too long: 900 tokens, data.max_length is 512", tokens=0),
    KEPT._replace(row_id=6, changes="truncated by 5 tokens; near-duplicate of row 1", tokens=30),
    KEPT._replace(row_id=7, changes="split into 2 pieces", tokens=0, supervised=0),
    KEPT._replace(row_id=8, parent_id=7, origin="split", tokens=40, supervised=39),
    KEPT._replace(row_id=9, parent_id=7, origin="split", tokens=5, supervised=4),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with LedgerWriter(tmp_path / "ledger.parquet") as writer:
        for entry in ENTRIES:
            writer.write(entry)
    return tmp_path / "ledger.parquet"


def test_what_is_written_is_read(path: Path) -> None:
    assert list(read_ledger(path)) == ENTRIES


def test_columns_are_as_documented(path: Path) -> None:
    import pyarrow.parquet as pq

    assert pq.read_schema(path).names == [
        "row_id", "parent_id", "origin", "file", "line", "split", "fate", "reason", "changes", "tokens", "supervised",
        "content",
    ]  # fmt: skip


def test_whole_rows_and_where_to_look(path: Path) -> None:
    assert [entry.row_id for entry in read_raw(path)] == list(range(8))
    assert places(path, each=1) == {
        "near-duplicate of row N": ["rows.csv:2"],
        "column 'text' is empty": ["rows.csv:2"],
        "too long": ["rows.csv:2"],
        "truncated by N tokens": ["rows.csv:2"],
        "split into N pieces": ["rows.csv:2"],
    }


def test_the_summary_counts_every_raw_row_once(path: Path) -> None:
    summary = summarise(path)
    assert summary == Summary(
        rows_in=8,
        kept=4,
        rows={"train": 4, "test": 1},
        reasons=[
            ("dropped", "near-duplicate of row N", 2),
            ("quarantined", "column 'text' is empty", 1),
            ("dropped", "too long", 1),
        ],
        changes=[("truncated by N tokens", 1), ("near-duplicate of row N", 1), ("split into N pieces", 1)],
        tokens={"train": 85, "test": 20},
        supervised={"train": 49, "test": 3},
        longest=40,
        over_length=3,
        origins={"split": 2},
    )
    assert summary.rows_in == summary.kept + sum(count for _, _, count in summary.reasons)
    assert summary.over_length_share == 3 / 8
    assert Summary.from_dict(summary.as_dict()) == summary


def test_reasons_are_counted_without_their_numbers() -> None:
    assert reason_class("near-duplicate of row 17") == "near-duplicate of row N"
    assert reason_class("too long: 900 tokens") == "too long"
    assert reason_class("label 'up' is not among data.labels") == "label 'up' is not among data.labels"


def test_an_empty_ledger(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path / "ledger.parquet"):
        pass
    assert summarise(tmp_path / "ledger.parquet") == Summary()
