"""Physical lines of a text file, one at a time, however broken the file is."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import AnyStr, BinaryIO, Protocol, TypeVar

MAX_ROW_BYTES = 10 * 1024 * 1024
"""A longer row is quarantined without being held in memory."""

BROKEN = (OSError, EOFError, zlib.error)
"""What reading a file raises that is damaged, or compressed and cut off."""

_Piece = TypeVar("_Piece", str, bytes, covariant=True)


@dataclass(frozen=True, slots=True)
class Line:
    """A physical line without its line ending.

    Attributes:
        number: 1-based.
        text: its text; with replacement characters when it cannot be decoded, empty when it is too large.
        problem: why it cannot be used as it is, None when it can.
    """

    number: int
    text: str
    problem: str | None = None


def read_lines(stream: BinaryIO, encoding: str) -> Iterator[Line]:
    """Decodes line by line, so that one broken line costs one line. The stream is read to its end, never whole.

    A stream that breaks off, such as a gzip file that was cut, ends with a line that says so.
    """
    number = 0
    try:
        for line in _wide_lines(stream, encoding) if is_wide(encoding) else _narrow_lines(stream, encoding):
            number = line.number
            yield line
    except BROKEN as error:
        yield Line(number + 1, "", f"the file cannot be read further: {error}")


def is_wide(encoding: str) -> bool:
    """Whether an encoding has no single byte for the end of a line."""
    return encoding.startswith(("utf-16", "utf-32"))


def _narrow_lines(stream: BinaryIO, encoding: str) -> Iterator[Line]:
    for number, (raw, whole) in enumerate(_bounded(stream, b"\n"), start=1):
        if number == 1 and encoding in ("utf-8-sig", "utf-8"):
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        yield _decoded(number, raw, "utf-8" if encoding == "utf-8-sig" else encoding) if whole else _too_large(number)


def _decoded(number: int, raw: bytes, encoding: str) -> Line:
    try:
        return Line(number, raw.decode(encoding).rstrip("\r\n"))
    except UnicodeDecodeError as error:
        reason = f"not {encoding}: byte 0x{error.object[error.start]:02x} at position {error.start}"
        return Line(number, raw.decode(encoding, "replace").rstrip("\r\n"), reason)


def _wide_lines(stream: BinaryIO, encoding: str) -> Iterator[Line]:
    """UTF-16 and UTF-32 have no byte for the end of a line: they are decoded first."""
    text = io.TextIOWrapper(stream, encoding, errors="replace", newline="\n")
    for number, (line, whole) in enumerate(_bounded(text, "\n"), start=1):
        problem = f"not {encoding}" if "\ufffd" in line else None
        yield Line(number, line.rstrip("\r\n").removeprefix("\ufeff"), problem) if whole else _too_large(number)


class _Lines(Protocol[_Piece]):
    def readline(self, limit: int, /) -> _Piece: ...


def _bounded(stream: _Lines[AnyStr], newline: AnyStr) -> Iterator[tuple[AnyStr, bool]]:
    """Lines with whether they are whole; the rest of one that is too large is skipped."""
    while piece := stream.readline(MAX_ROW_BYTES):
        whole = len(piece) < MAX_ROW_BYTES or piece.endswith(newline)
        rest = piece
        while not whole and rest and not rest.endswith(newline):
            rest = stream.readline(MAX_ROW_BYTES)
        yield piece, whole


def _too_large(number: int) -> Line:
    return Line(number, "", f"longer than {MAX_ROW_BYTES >> 20} MB")
