"""New files of rows are read back as they were written."""

from pathlib import Path
from typing import Any

import pytest

from luthier.config import SourceConfig
from luthier.data.examples import Row, UnwritableExample
from luthier.data.reading.sources import read_rows
from luthier.data.row_files import fitting, kind_of_new, writing_rows
from luthier.errors import ConfigError

ROWS: list[dict[str, Any]] = [
    {"instruction": 'Say "yes", no\nmore', "input": "", "output": "是；好"},
    {"instruction": "=1+1", "input": " a,b ", "output": "2", "system": "Be short."},
]


def written(path: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    with writing_rows(path, kind_of_new(path)) as write:
        for row in rows:
            write(row)
    return [dict(row.values) for row in read_rows(SourceConfig(path=str(path))) if isinstance(row, Row)]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_rows_come_back(tmp_path: Path, name: str) -> None:
    read = written(tmp_path / name, ROWS)
    assert [{key: value for key, value in row.items() if value} for row in read] == [
        {key: value for key, value in row.items() if value} for row in ROWS
    ]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_numbers_stay_numbers_in_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.data.row_files._BATCH", 2)
    rows = [{"text": f"row {number}", "score": score} for number, score in enumerate([1, 0.5, 2, -1.5, 3])]
    assert written(tmp_path / "rows.parquet", rows) == rows


def test_a_table_has_no_room_for_parts() -> None:
    row = {"messages": [{"role": "user", "content": "Hi"}]}
    assert fitting(row, "jsonl") == row
    with pytest.raises(UnwritableExample, match="column 'messages' has parts, for which csv has no room"):
        fitting(row, "csv")


def test_other_suffixes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"'rows\.xlsx' is no file that rows are written to"):
        kind_of_new(Path("rows.xlsx"))
