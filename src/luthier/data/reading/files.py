"""One file of rows: JSON, JSON Lines, CSV, TSV, Parquet, CoNLL, XML, text, or a whole document, each also gzipped.

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

from luthier.data.examples import BadRow, Row
from luthier.data.reading.conll import read_conll
from luthier.data.reading.delimited import read_delimited
from luthier.data.reading.encodings import detect_encoding, known_encoding
from luthier.data.reading.extraction import extract
from luthier.data.reading.json_rows import Item, read_json_document, read_json_lines
from luthier.data.reading.lines import BROKEN, MAX_ROW_BYTES, is_wide, read_lines
from luthier.data.reading.xml_rows import read_xml
from luthier.runs.files import content_hash

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
    ".xml": "xml",
    ".txt": "txt",
}
"""File kinds by suffix; each may be followed by `.gz`."""

DOCUMENTS = {
    ".txt": "plain",
    ".md": "plain",
    ".markdown": "plain",
    ".rst": "plain",
    ".html": "html",
    ".htm": "html",
    ".docx": "docx",
    ".pdf": "pdf",
}
"""Kinds of files that are one document each; a text file is one where the user says so."""

_BINARY = ("parquet", "docx", "pdf")
_SNIFF = 1 << 16


@dataclass(eq=False)
class DataFile:
    """One file of rows.

    Attributes:
        path: where it is.
        name: what messages and the ledger call it.
        kind: one of the values of `KINDS` and `DOCUMENTS`.
        declared: the encoding that the user declared, or `auto`.
    """

    path: Path
    name: str
    kind: str
    declared: str = "auto"

    @cached_property
    def encoding(self) -> str | None:
        """The declared encoding or the detected one; None for Parquet, DOCX, PDF and for what is no text."""
        if self.kind in _BINARY:
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

    def digest(self) -> str:
        """Hash of its bytes; an unreadable file's line in the ledger says why it is."""
        try:
            return content_hash(self.path)
        except OSError as error:
            return f"unreadable: {error}"

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
        if self.encoding is None and self.kind not in _BINARY:
            yield BadRow(self.name, 1, "a binary file, not text")
            return
        encoding = self.encoding or ""
        with self.open() as stream:
            match self.kind:
                case "json" | "jsonl":
                    yield from self._items(self._json(stream, encoding))
                case "xml":
                    yield from self._items(read_xml(_as_text(stream, encoding)))
                case "csv" | "tsv":
                    yield from self._delimited(stream, encoding)
                case "conll":
                    yield from self._conll(stream, encoding)
                case "txt":
                    yield from self._text(stream, encoding)
                case _:
                    yield self._document(stream, encoding)

    def _json(self, stream: BinaryIO, encoding: str) -> Iterator[Item]:
        lines = _is_json_lines(stream.read(_SNIFF).decode(encoding, "replace"), self.kind)
        stream.seek(0)
        if lines:
            return read_json_lines(read_lines(stream, encoding))
        return read_json_document(_as_text(stream, encoding))

    def _items(self, items: Iterator[Item]) -> Iterator[Row | BadRow]:
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

    def _document(self, stream: BinaryIO, encoding: str) -> Row | BadRow:
        """The whole file as one row."""
        source = stream if self.kind in _BINARY else _as_text(stream, encoding).read(MAX_ROW_BYTES + 1)
        text, problem = extract(self.kind, source)
        if not problem and len(text) > MAX_ROW_BYTES:
            problem = f"longer than {MAX_ROW_BYTES >> 20} MB"
        if not problem and not text.strip():
            problem = "the document has no text" + (": pictures of pages?" if self.kind == "pdf" else "")
        return BadRow(self.name, 1, problem) if problem else Row({"text": text.strip()}, self.name, 1)


def kind_of(path: Path, kinds: dict[str, str] = KINDS) -> str | None:
    """The kind of a file by its suffix, None when it is none of these."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return kinds.get(suffixes[-1]) if suffixes else None


def sniffed_kind(path: Path) -> str | None:
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
    text = head.decode(file.encoding, "replace").lstrip("\ufeff \t\r\n")
    if text.startswith("<?xml"):
        return "xml"
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
