"""Rows that a query returns: from SQLite and DuckDB files, from Parquet files, from a database server.

DuckDB reads only the columns and row groups of a Parquet file that the query asks for, so a file of hundreds of columns
and gigabytes costs what is taken from it. DuckDB and SQLAlchemy (for servers) come with the extra `sql`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.data.examples import BadRow, Row
from luthier.data.reading.files import DataFile
from luthier.errors import DataError

DATABASES = {".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite", ".duckdb": "duckdb"}
"""Kinds of database files by suffix."""

SERVER = "server"
TABLE = "data"
"""What a query calls the Parquet files."""

_BATCH = 1000
_PASSWORD = re.compile(r"://[^/@:]*:([^@]+)@")


@dataclass(eq=False)
class Query:
    """A query and what it is asked of.

    Attributes:
        name: the path or address as the user wrote it.
        kind: sqlite | duckdb | parquet | server.
        text: the query.
        paths: the database file, or the Parquet files; none for a server.
    """

    name: str
    kind: str
    text: str
    paths: Sequence[Path] = ()
    encoding: None = None

    @classmethod
    def on_server(cls, address: str, text: str) -> Query:
        """A query to a server, whose address may name environment variables.

        Raises:
            DataError: the address has a password, which every run's record would show.
        """
        found = _PASSWORD.search(address)
        if found and not found[1].startswith("$"):
            raise DataError(
                "the address has a password in it, and configurations are kept with every run",
                where=address.replace(found[1], "***"),
                hint="put ${DB_PASSWORD} in its place, an environment variable, or leave it to the database's own "
                "files, such as ~/.pgpass",
            )
        return cls(address, SERVER, text)

    def digest(self) -> str:
        """Hash of the query and what it is asked of: the files' bytes, or for a server the rows themselves."""
        state = hashlib.sha256(self.text.encode())
        if self.kind == SERVER:
            for values in self._results():
                state.update(json.dumps(values, default=str, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        for path in self.paths:
            for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}.wal")):
                if file == path or file.is_file():
                    state.update(DataFile(file, str(file), self.kind).digest().encode())
        return state.hexdigest()

    def rows(self) -> Iterator[Row | BadRow]:
        """The rows of the result in its order; a result that breaks off keeps the rows before the break.

        Raises:
            DataError: the database does not open, or refuses the query.
        """
        position = 0
        try:
            for position, values in enumerate(self._results(), start=1):
                yield Row(values, self.name, position)
        except DataError as error:
            if not position:
                raise
            yield BadRow(self.name, position + 1, f"the result breaks off: {error.expected}")
            return
        if not position:
            yield BadRow(self.name, 1, "the query returns no rows")

    def _results(self) -> Iterator[dict[str, Any]]:
        """The result's rows; whatever a database raises becomes one error with its words under `expected`."""
        run = {"sqlite": _sqlite, "duckdb": _duckdb, "parquet": _parquet, SERVER: _server}[self.kind]
        try:
            yield from run(self)
        except ImportError as error:
            raise DataError(
                f"this query needs the package {error.name}",
                where=self.name,
                hint=f"pip install 'luthier[sql]'{' and the driver of your database' if self.kind == SERVER else ''}",
            ) from error
        except Exception as error:
            if isinstance(error, DataError) or not _from_database(error):
                raise
            said = str(error).strip().splitlines()[0]
            raise DataError(
                f"the database refuses the query: {said}", where=self.name, expected=said, hint=self._hint()
            ) from error

    def _hint(self) -> str | None:
        return f"the Parquet files are the table `{TABLE}`" if self.kind == "parquet" else None


def _from_database(error: Exception) -> bool:
    """Every driver has its own hierarchy; all are of the packages that are asked here."""
    return type(error).__module__.partition(".")[0] in ("sqlite3", "duckdb", "_duckdb", "sqlalchemy", "psycopg")


def _sqlite(query: Query) -> Iterator[dict[str, Any]]:
    with closing(sqlite3.connect(f"{query.paths[0].resolve().as_uri()}?mode=ro", uri=True)) as connection:
        # a text that is not UTF-8 costs its row, not the whole result: formats refuse lone surrogates
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        yield from _fetched(connection.execute(query.text), query)


def _duckdb(query: Query) -> Iterator[dict[str, Any]]:
    import duckdb

    with closing(duckdb.connect(str(query.paths[0]), read_only=True)) as connection:
        yield from _fetched(connection.execute(query.text), query)


def _parquet(query: Query) -> Iterator[dict[str, Any]]:
    import duckdb

    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in query.paths)
    with closing(duckdb.connect()) as connection:
        connection.execute(f"create view {TABLE} as select * from read_parquet([{listed}], union_by_name=true)")
        yield from _fetched(connection.execute(query.text), query)


def _server(query: Query) -> Iterator[dict[str, Any]]:
    from sqlalchemy import create_engine

    engine = create_engine(os.path.expandvars(query.name))
    try:
        with engine.connect() as connection:
            options = {"stream_results": True, "max_row_buffer": _BATCH}
            for row in connection.exec_driver_sql(query.text, execution_options=options).mappings():
                yield dict(row)
    finally:
        engine.dispose()


def _fetched(cursor: Any, query: Query) -> Iterator[dict[str, Any]]:
    """Rows of a cursor by column name, a thousand at a time."""
    if cursor.description is None:
        raise DataError("the query returns no rows at all", where=query.name, expected="select ... from ...")
    names = [column[0] for column in cursor.description]
    while batch := cursor.fetchmany(_BATCH):
        for values in batch:
            yield dict(zip(names, values, strict=True))
