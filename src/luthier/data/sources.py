"""Rows out of the user's files: JSON, JSON Lines, CSV, TSV, Parquet, CoNLL, plain text, each also gzipped, or a folder.

Rows stream, one at a time. Whatever is broken becomes a `BadRow` with its place and the reason; the rows around it are
read. Only what cannot be opened at all is an error.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from luthier.config import SourceConfig
from luthier.data.conll import read_conll
from luthier.data.delimited import read_delimited
from luthier.data.encodings import detect_encoding, known_encoding
from luthier.data.examples import Row
from luthier.data.json_rows import read_json_document, read_json_lines
from luthier.data.lines import BROKEN, is_wide, read_lines
from luthier.errors import DataError
from luthier.registry import suggest
from luthier.runs.packages import PREFIX, package_path, package_root

KINDS = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".conll": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".txt": "txt",
}
"""File kinds by suffix; each may be followed by `.gz`."""

_EXPECTED = "JSON, JSONL, CSV, TSV, Parquet, CoNLL or TXT, each also as .gz, or a folder of them"
_SNIFF = 1 << 16


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read.

    Attributes:
        file: path of the file as the user would write it.
        line: 1-based line (or position, for JSON documents and Parquet).
        reason: why, for the ledger.
    """

    file: str
    line: int
    reason: str


@dataclass(eq=False)
class DataFile:
    """One file of rows.

    Attributes:
        path: where it is.
        name: what messages and the ledger call it.
        kind: json | jsonl | csv | tsv | parquet | conll | txt.
        declared: the encoding that the user declared, or `auto`.
    """

    path: Path
    name: str
    kind: str
    declared: str = "auto"

    @cached_property
    def encoding(self) -> str | None:
        """The declared encoding or the detected one; None for Parquet and for what is no text."""
        if self.kind == "parquet":
            return None
        if self.declared != "auto":
            return known_encoding(self.declared)
        try:
            with self.open() as stream:
                return detect_encoding(stream)
        except OSError:
            return "utf-8"  # `rows` will say why it cannot be opened

    def open(self) -> BinaryIO:
        """The file's bytes, decompressed."""
        if self.path.suffix.lower() == ".gz":
            return cast(BinaryIO, gzip.open(self.path))
        return self.path.open("rb")

    def rows(self) -> Iterator[Row | BadRow]:
        """All rows in order. A file that breaks off keeps the rows before the break."""
        import pyarrow as pa

        row: Row | BadRow | None = None
        try:
            for row in self._read():
                yield row
        except (*BROKEN, pa.ArrowException) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            row = BadRow(self.name, row.line + 1 if row else 1, f"the file cannot be read further: {reason}")
            yield row
        if row is None:
            yield BadRow(self.name, 1, "the file has no rows")

    def _read(self) -> Iterator[Row | BadRow]:
        if self.kind == "parquet":
            yield from self._parquet()
            return
        if self.encoding is None:
            yield BadRow(self.name, 1, "a binary file, not text")
            return
        with self.open() as stream:
            match self.kind:
                case "json" | "jsonl":
                    yield from self._json(stream, self.encoding)
                case "csv" | "tsv":
                    yield from self._delimited(stream, self.encoding)
                case "conll":
                    yield from self._conll(stream, self.encoding)
                case _:
                    yield from self._text(stream, self.encoding)

    def _json(self, stream: BinaryIO, encoding: str) -> Iterator[Row | BadRow]:
        lines = _is_json_lines(stream.read(_SNIFF).decode(encoding, "replace"), self.kind)
        stream.seek(0)
        items = (
            read_json_lines(read_lines(stream, encoding)) if lines else read_json_document(_as_text(stream, encoding))
        )
        for item in items:
            if item.problem:
                yield BadRow(self.name, item.position, item.problem)
            elif isinstance(item.value, dict):
                yield Row(item.value, self.name, item.position)
            else:
                yield BadRow(self.name, item.position, f"a row is an object, this is {_a(item.value)}")

    def _delimited(self, stream: BinaryIO, encoding: str) -> Iterator[Row | BadRow]:
        for record in read_delimited(read_lines(stream, encoding), "\t" if self.kind == "tsv" else None):
            if record.problem:
                yield BadRow(self.name, record.line, record.problem)
            else:
                yield Row(record.fields, self.name, record.line)

    def _conll(self, stream: BinaryIO, encoding: str) -> Iterator[Row | BadRow]:
        for sentence in read_conll(read_lines(stream, encoding)):
            if sentence.problem:
                yield BadRow(self.name, sentence.line, sentence.problem)
            else:
                yield Row({"words": sentence.words, "tags": sentence.tags}, self.name, sentence.line)

    def _text(self, stream: BinaryIO, encoding: str) -> Iterator[Row | BadRow]:
        for line in read_lines(stream, encoding):
            if line.problem:
                yield BadRow(self.name, line.number, line.problem)
            elif line.text.strip():
                yield Row({"text": line.text}, self.name, line.number)

    def _parquet(self) -> Iterator[Row | BadRow]:
        import pyarrow.parquet as pq

        position = 0
        with self.open() as stream, pq.ParquetFile(stream) as table:
            for batch in table.iter_batches(batch_size=1000):
                for values in batch.to_pylist():
                    position += 1
                    yield Row(values, self.name, position)


def data_files(source: SourceConfig) -> tuple[list[DataFile], list[str]]:
    """The files of a source, sorted, and the names of those in a folder that are of no known kind.

    Raises:
        DataError: there is nothing at the path, or nothing that can be read.
    """
    path = _located(source.path)
    if path.is_dir():
        return _folder(path, source)
    if not path.is_file():
        raise DataError(f"there is no file '{source.path}'", hint=_nearby(path))
    kind = _kind(path) or _sniffed_kind(path)
    if kind is None:
        raise DataError(f"'{source.path}' is of a kind that cannot be read", expected=_EXPECTED)
    return [DataFile(path, source.path, kind, source.encoding)], []


def _located(path: str) -> Path:
    """Where a source lies: a path, or `package:MODULE/FILE` inside a Python package."""
    if not path.startswith(PREFIX):
        return Path(path).expanduser()
    root = package_root(path)
    if root is None:
        raise DataError(f"the Python package of '{path}' is not installed", expected="package:MODULE/FILE")
    return package_path(path, root)


def read_rows(source: SourceConfig) -> Iterator[Row | BadRow]:
    """All rows of a source, file after file.

    Raises:
        DataError: there is nothing at the path, or nothing that can be read.
    """
    for file in data_files(source)[0]:
        yield from file.rows()


def _folder(path: Path, source: SourceConfig) -> tuple[list[DataFile], list[str]]:
    files: list[DataFile] = []
    unknown: list[str] = []
    for found in sorted(path.rglob("*")):
        inside = found.relative_to(path)
        if not found.is_file() or any(part.startswith(".") for part in inside.parts):
            continue
        name = str(Path(source.path) / inside)
        if kind := _kind(found):
            files.append(DataFile(found, name, kind, source.encoding))
        else:
            unknown.append(name)
    if not files:
        raise DataError(f"the folder '{source.path}' has no file that can be read", expected=_EXPECTED)
    return files, unknown


def _kind(path: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return KINDS.get(suffixes[-1]) if suffixes else None


def _sniffed_kind(path: Path) -> str | None:
    """The kind of a file without a known suffix, by how it begins; None when it is no text."""
    file = DataFile(path, str(path), "txt")
    try:
        with file.open() as stream:
            head = stream.read(_SNIFF)
        if head.startswith(b"PAR1"):
            return "parquet"
        if file.encoding is None or head.startswith(b"PK\x03\x04"):
            return None
    except BROKEN:
        return None
    text = head.decode(file.encoding, "replace").lstrip()
    return "json" if text.startswith(("{", "[")) else "txt"


def _is_json_lines(head: str, kind: str) -> bool:
    """Whether a file holds one object a line, whatever its suffix says."""
    lines = [line.strip() for line in head.lstrip("\ufeff").splitlines() if line.strip()]
    if kind == "jsonl":
        return not lines or not (lines[0].startswith("[") or lines[0] == "{")
    return len(lines) > 1 and lines[0].startswith("{") and lines[1].startswith("{")


def _as_text(stream: BinaryIO, encoding: str) -> TextIO:
    """Undecodable bytes stay visible as lone surrogates, which no format takes for text."""
    return io.TextIOWrapper(
        stream, "utf-8-sig" if encoding == "utf-8" else encoding, "replace" if is_wide(encoding) else "surrogateescape"
    )


def _a(value: object) -> str:
    names = {list: "a list", str: "text", int: "a number", float: "a number", bool: "true or false", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def _nearby(path: Path) -> str:
    parent = path.parent
    names = [entry.name for entry in parent.iterdir()] if parent.is_dir() else []
    near = suggest(path.name, names)
    if near:
        return f"did you mean '{parent / near}'?"
    return "paths are relative to the folder you are in" if parent.is_dir() else f"there is no folder '{parent}' either"
