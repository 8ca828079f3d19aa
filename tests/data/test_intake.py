import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from luthier.config import RunConfig
from luthier.data.examples import Labelled
from luthier.data.intake import Taken, iterate_examples
from luthier.errors import DataError


def take(path: Path, **data: Any) -> tuple[list[Taken], list[str]]:
    config = RunConfig.model_validate({"model": {"base": "none"}, "data": {"train": str(path), **data}})
    notes: list[str] = []
    return list(iterate_examples(config, notes.append)), notes


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_rows_are_numbered_over_all_sources_with_their_place(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", [{"text": "a", "label": "up"}, {"text": "", "label": "up"}])
    test = write(tmp_path / "test.jsonl", [{"text": "b", "label": "down"}])
    rows, _ = take(train, test=str(test))
    assert [(row.row_id, row.role, row.line) for row in rows] == [(0, "train", 1), (1, "train", 2), (2, "test", 1)]
    assert rows[0].example == Labelled("a", "up")
    assert rows[1].reason == "column 'text' is empty"
    assert rows[2].file == str(test)


def test_what_was_detected_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "a.csv").write_bytes("text,label\n公司净利润同比增长百分之二十,利好\n".encode("gb18030"))
    (folder / "notes.md").write_text("#")
    _, notes = take(folder)
    assert notes == [
        f"{folder}: 1 file left out, not rows: {folder / 'notes.md'}",
        f"{folder}: read as gb18030 (detected)",
        f"{folder}: format labelled, seen from text, label in the first 1 rows",
    ]


def test_labels_outside_the_set_are_quarantined(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [{"text": "a", "label": "up"}, {"text": "b", "label": "sideways"}])
    rows, _ = take(path, labels=["up", "down"])
    assert [row.reason for row in rows] == ["", "label 'sideways' is not among data.labels"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-01-02", datetime(2024, 1, 2).timestamp()),
        ("2024-01-02T03:04:05+00:00", datetime(2024, 1, 2, 3, 4, 5).timestamp()),
        (1700000000, 1.7e9),
        (1700000000000, 1.7e9),
        (20240102, datetime(2024, 1, 2, tzinfo=UTC).timestamp()),
        ("12.5", 12.5),
    ],
)
def test_times_become_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any, expected: float) -> None:
    path = write(tmp_path / "rows.jsonl", [{"text": "a", "label": "up", "when": value}])
    [row], _ = take(path, split={"by": "time:when"})
    offset = datetime(2024, 1, 2).astimezone().utcoffset()
    assert offset is not None
    assert row.key == (expected + offset.total_seconds() if isinstance(value, str) and "-" in value else expected)


def test_what_a_row_knows_is_compared_in_one_unit(tmp_path: Path) -> None:
    row = {
        "text": "a",
        "label": "up",
        "when": 1700000000000,
        "price_time": "2023-11-14T22:13:21Z",
        "label_time": 20231115,
    }
    split = {"by": "time:when", "label_time": "label_time"}
    path = write(tmp_path / "rows.jsonl", [row | {"label_time": 20231115}])
    [known] = take(path, split=split)[0]
    assert known.known == datetime(2023, 11, 15, tzinfo=UTC).timestamp()
    [ahead] = take(path, split=split | {"known_at": ["price_time"]})[0]
    assert ahead.reason.startswith("look-ahead: 'price_time' is 2023-11-14T22:13:21Z, after 'when'")


@pytest.mark.parametrize("value", [None, "", "next Tuesday", ["2024"], float("nan")])
def test_rows_without_a_time_are_quarantined(tmp_path: Path, value: Any) -> None:
    path = write(tmp_path / "rows.jsonl", [{"text": "a", "label": "up", "when": value}])
    [row], _ = take(path, split={"by": "time:when"})
    assert row.example is None
    assert "column 'when'" in row.reason


def test_what_is_no_text_is_written_out_in_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": "a", "label": "up", "when": "\ud83d"}) + "\n")
    [row], _ = take(path, split={"by": "time:when"})
    assert row.reason == "column 'when' is '\\ud83d', expected ISO 8601 or a number"


def test_dates_of_parquet_and_groups(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "rows.parquet"
    rows = [{"text": "a", "label": "up", "when": date(2024, 1, day), "company": 7} for day in (1, 2)]
    pq.write_table(pa.Table.from_pylist(rows), path)
    first, second = take(path, split={"by": "time:when"})[0]
    assert isinstance(first.key, float)
    assert isinstance(second.key, float)
    assert second.key - first.key == 86_400
    assert [row.key for row in take(path, split={"by": "group:company"})[0]] == ["7", "7"]


def test_the_format_is_the_one_of_most_files(tmp_path: Path) -> None:
    (tmp_path / "a_notes.txt").write_text("one line about where this is from\n")
    for name in ("b", "c"):
        write(tmp_path / f"{name}.jsonl", [{"text": f"{name} {number}", "label": "up"} for number in range(30)])
    rows, _ = take(tmp_path)
    assert sum(row.example is not None for row in rows) == 60
    assert rows[0].reason.startswith("missing column for label")


def test_no_readable_row_at_all(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("broken\nmore\n")
    rows, _ = take(path)
    assert [row.example for row in rows] == [None, None]
    with pytest.raises(DataError, match="no format fits"):
        take(write(path, [{"x": 1}]))
