"""Where rows come from: files, folders, archives, databases, the hub; what a source of the configuration names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Protocol

from luthier.config import SourceConfig
from luthier.data.examples import BadRow, Row
from luthier.data.reading.archives import is_archive, unpacked
from luthier.data.reading.files import DOCUMENTS, KINDS, DataFile, kind_of, sniffed_kind
from luthier.data.reading.hub import PREFIX as HUB
from luthier.data.reading.hub import HubRows
from luthier.data.reading.parallel import ParallelFiles
from luthier.data.reading.queries import DATABASES, Query
from luthier.errors import DataError
from luthier.registry import suggest
from luthier.runs.packages import PREFIX, package_path, package_root

_EXPECTED = (
    "JSON, JSONL, CSV, TSV, Parquet, CoNLL, XML or TXT, each also as .gz; Markdown, HTML, DOCX or PDF; "
    "a folder or archive of them"
)

_ABOUT = re.compile(r"(readme|licen[cs]e|copying|notice|citation|changelog)\b", re.IGNORECASE)
"""Names of files that are about the data beside them."""


class RowSource(Protocol):
    """Anything that rows come from: a file, two files side by side, a query, a data set of the hub."""

    @property
    def name(self) -> str:
        """What messages and the ledger call it."""
        ...

    @property
    def kind(self) -> str:
        """What it is, such as jsonl."""
        ...

    @property
    def encoding(self) -> str | None:
        """Of its text; None where there is none to tell."""
        ...

    def rows(self) -> Iterator[Row | BadRow]:
        """All rows in order, streamed."""
        ...

    def digest(self) -> str:
        """Hash of everything that decides what the rows are."""
        ...


def data_files(source: SourceConfig) -> tuple[Sequence[RowSource], list[str]]:
    """What a source is read from, sorted, and the names of those files in a folder that are no rows.

    Raises:
        DataError: there is nothing at the path, or nothing that can be read.
    """
    if source.path.startswith(HUB):
        return [HubRows(source.path, source.subset, source.split or "train")], []
    if "://" in source.path:
        return [Query.on_server(source.path, _query(source))], []
    path = _located(source.path)
    if not path.exists() and (pair := ParallelFiles.at(source.path, source.encoding)):
        return [pair], []
    if not path.exists():
        raise DataError(f"there is no file '{source.path}'", hint=_nearby(path))
    if path.suffix.lower() in DATABASES:
        return [Query(source.path, DATABASES[path.suffix.lower()], _query(source), [path])], []
    if path.is_dir() or is_archive(path):
        found, unknown = _folder(path if path.is_dir() else unpacked(path), source)
    else:
        found, unknown = [_file(path, source)], []
    return ([_query_of_parquet(found, source)] if source.query is not None else found), unknown


def read_rows(source: SourceConfig) -> Iterator[Row | BadRow]:
    """All rows of a source, file after file.

    Raises:
        DataError: there is nothing at the path, or nothing that can be read.
    """
    for file in data_files(source)[0]:
        yield from file.rows()


def _query(source: SourceConfig) -> str:
    if source.query is None:
        raise DataError("a database needs a query", where=source.path, expected="query: select text, label from TABLE")
    return source.query


def _query_of_parquet(found: Sequence[DataFile], source: SourceConfig) -> Query:
    others = [file.name for file in found if file.kind != "parquet"]
    if others:
        raise DataError(
            "a query reads databases and Parquet files",
            where=others[0],
            hint="leave the query out, or turn the file into Parquet",
        )
    return Query(source.path, "parquet", _query(source), [file.path for file in found])


def _file(path: Path, source: SourceConfig) -> DataFile:
    if source.documents:
        kind = kind_of(path, DOCUMENTS)
    else:
        kind = kind_of(path) or kind_of(path, DOCUMENTS) or sniffed_kind(path)
    if kind is None:
        raise DataError(f"'{source.path}' is of a kind that cannot be read", expected=_EXPECTED)
    return DataFile(path, source.path, kind, source.encoding)


def _located(path: str) -> Path:
    """Where a source lies: a path, or `package:MODULE/FILE` inside a Python package."""
    if not path.startswith(PREFIX):
        return Path(path).expanduser()
    root = package_root(path)
    if root is None:
        raise DataError(f"the Python package of '{path}' is not installed", expected="package:MODULE/FILE")
    return package_path(path, root)


def _folder(path: Path, source: SourceConfig) -> tuple[list[DataFile], list[str]]:
    """Files of rows and the names of the others; documents where there are no rows, or where they are asked for."""
    inside = {str(Path(source.path) / found.relative_to(path)): found for found in _visible(path, source.files)}
    for known in (DOCUMENTS,) if source.documents else (KINDS, DOCUMENTS):
        named = {name: _kind(found, known, source) for name, found in inside.items()}
        files = [DataFile(inside[name], name, kind, source.encoding) for name, kind in named.items() if kind]
        if files:
            return files, [name for name, kind in named.items() if not kind]
    which = f" that matches '{source.files}'" if source.files else ""
    raise DataError(f"'{source.path}' has no file{which} that can be read", expected=_EXPECTED)


def _visible(path: Path, pattern: str | None) -> Iterator[Path]:
    for found in sorted(path.rglob("*")):
        inside = found.relative_to(path)
        hidden = any(part.startswith(".") for part in inside.parts)
        if found.is_file() and not hidden and (pattern is None or fnmatch(inside.as_posix(), pattern)):
            yield found


def _kind(path: Path, known: dict[str, str], source: SourceConfig) -> str | None:
    """By its suffix; files that the user picked by a pattern may have an unknown one, or be called README."""
    if _ABOUT.match(path.name) and not source.files:
        return None
    return kind_of(path, known) or (sniffed_kind(path) if source.files and not source.documents else None)


def _nearby(path: Path) -> str:
    parent = path.parent
    names = [entry.name for entry in parent.iterdir()] if parent.is_dir() else []
    near = suggest(path.name, names)
    if near:
        return f"did you mean '{parent / near}'?"
    return "paths are relative to the folder you are in" if parent.is_dir() else f"there is no folder '{parent}' either"
