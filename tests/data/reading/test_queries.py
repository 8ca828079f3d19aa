import sqlite3
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luthier.config import SourceConfig
from luthier.data.examples import BadRow, Row
from luthier.data.reading.sources import data_files, read_rows
from luthier.errors import DataError

ROWS = [{"text": f"row {number}", "label": "up" if number % 2 else "down", "size": number} for number in range(2500)]
WANTED = "select text, label from {} where size >= 10 order by size"
EXPECTED = [{"text": row["text"], "label": row["label"]} for row in ROWS[10:]]


def sqlite(path: Path) -> str:
    connection = sqlite3.connect(path)
    connection.execute("create table news (text, label, size)")
    connection.executemany("insert into news values (:text, :label, :size)", ROWS)
    connection.commit()
    connection.close()
    return str(path)


def read(path: str, query: str) -> list[Row | BadRow]:
    return list(read_rows(SourceConfig(path=path, query=query)))


def values(path: str, query: str) -> list[Any]:
    return [row.values if isinstance(row, Row) else row for row in read(path, query)]


def test_sqlite(tmp_path: Path) -> None:
    path = sqlite(tmp_path / "news.db")
    rows = read(path, WANTED.format("news"))
    assert [row.values for row in rows if isinstance(row, Row)] == EXPECTED
    assert rows[0] == Row(EXPECTED[0], path, 1)
    assert rows[-1].line == len(EXPECTED)


def test_duckdb(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="pip install 'luthier[sql]'")
    path = tmp_path / "news.duckdb"
    table = pa.Table.from_pylist(ROWS)
    with duckdb.connect(str(path)) as connection:
        connection.register("rows_in", table)
        connection.execute("create table news as select * from rows_in")
    assert values(str(path), WANTED.format("news")) == EXPECTED


def test_parquet_files_of_a_folder_are_one_table(tmp_path: Path) -> None:
    pytest.importorskip("duckdb", reason="pip install 'luthier[sql]'")
    folder = tmp_path / "it's here"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(ROWS[:1000]), folder / "a.parquet")
    pq.write_table(pa.Table.from_pylist(ROWS[1000:]), folder / "b.parquet")
    assert values(str(folder), WANTED.format("data")) == EXPECTED
    assert len(values(str(folder / "a.parquet"), "select * from data")) == 1000


def test_an_address_is_asked_through_sqlalchemy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sqlalchemy", reason="pip install 'luthier[sql]'")
    monkeypatch.setenv("NEWS_FILE", sqlite(tmp_path / "news.db"))
    address = "sqlite:///${NEWS_FILE}"
    assert values(address, WANTED.format("news")) == EXPECTED
    assert values(address, "select 'a:b' as text, 'c%d' as label") == [{"text": "a:b", "label": "c%d"}]
    source = SourceConfig(path=address, query="select text from news")
    [first], _ = data_files(source)
    before = first.digest()
    assert before == data_files(source)[0][0].digest()
    connection = sqlite3.connect(tmp_path / "news.db")
    connection.execute("update news set text = 'changed' where size = 2400")
    connection.commit()
    connection.close()
    assert data_files(source)[0][0].digest() != before


def test_a_password_does_not_get_into_records() -> None:
    with pytest.raises(DataError, match="password") as caught:
        data_files(SourceConfig(path="postgresql://me:secret@host/db", query="select 1"))
    assert "secret" not in str(caught.value)
    [query], _ = data_files(SourceConfig(path="postgresql://me:${PGPASSWORD}@host/db", query="select 1"))
    assert query.name == "postgresql://me:${PGPASSWORD}@host/db"


@pytest.mark.parametrize("query", ["select nothing from news", "selec", "delete from news"])
def test_what_the_database_refuses_is_an_error(tmp_path: Path, query: str) -> None:
    path = sqlite(tmp_path / "news.db")
    with pytest.raises(DataError) as caught:
        read(path, query)
    assert caught.value.where == path


def test_no_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        read(str(tmp_path / "none.db"), "select 1")
    assert list(tmp_path.iterdir()) == []


def test_rows_before_a_break_are_kept(tmp_path: Path) -> None:
    path = sqlite(tmp_path / "news.db")
    *rows, bad = read(path, "select text, case when size = 2000 then abs(-9223372036854775807 - 1) end as s from news")
    assert len(rows) >= 1000
    assert isinstance(bad, BadRow)
    assert bad.reason == "the result breaks off: integer overflow"


def test_an_empty_result_is_a_line_in_the_ledger(tmp_path: Path) -> None:
    path = sqlite(tmp_path / "news.db")
    assert read(path, "select * from news where size < 0") == [BadRow(path, 1, "the query returns no rows")]


def test_digests_follow_the_query_the_file_and_its_log(tmp_path: Path) -> None:
    path = sqlite(tmp_path / "news.db")

    def digest(query: str) -> str:
        return data_files(SourceConfig(path=path, query=query))[0][0].digest()

    before = digest("select 1")
    assert digest("select 1") == before
    assert digest("select 2") != before
    (tmp_path / "news.db-wal").write_bytes(b"a change that is not in the file yet")
    assert digest("select 1") != before


def test_queries_where_they_do_not_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="a database needs a query"):
        data_files(SourceConfig(path=sqlite(tmp_path / "news.db")))
    (tmp_path / "rows.csv").write_text("text,label\na,b\n")
    with pytest.raises(DataError, match="reads databases and Parquet files"):
        data_files(SourceConfig(path=str(tmp_path / "rows.csv"), query="select 1"))
    monkeypatch.setitem(sys.modules, "duckdb", None)
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"luthier\[sql\]"):
        read(str(tmp_path / "rows.parquet"), "select * from data")
