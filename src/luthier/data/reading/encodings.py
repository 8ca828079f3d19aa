"""Which encoding a file of text is in, decided from its bytes and nothing else: the same file, the same answer.

The order of the questions: a byte-order mark, UTF-16 without one, UTF-8 (also with a few broken lines in it), Western
letters in Latin-1 or Windows-1252, Chinese in gb18030, and only then the statistics of `charset-normalizer`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import BinaryIO

from luthier.data.reading.lines import BROKEN
from luthier.errors import ConfigError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD = 8192
_CHUNK = 1 << 20
_SAMPLE_LINES = 5000
_SAMPLE_LINE = 4096
_LETTERS = re.compile(rb"[\xa0-\xff]+")
_WINDOWS_MARKS = re.compile(rb"[\x80\x85\x91-\x97\x99]")  # the euro, ellipsis, quotes, bullet, dashes, trademark
_C1 = re.compile(rb"[\x80-\x9f]")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_CHINESE = re.compile("[\u2018-\u2026\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")


def known_encoding(name: str) -> str:
    """A declared encoding's own name.

    Raises:
        ConfigError: Python has no encoding of that name.
    """
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise ConfigError(
            f"there is no encoding '{name}'", where="encoding", expected="auto, utf-8, latin-1, gb18030, ..."
        ) from None


def detect_encoding(stream: BinaryIO) -> str | None:
    """Looks at a whole stream, once, in constant memory.

    Returns:
        A Python encoding name, or None when this is no text at all.
    """
    pieces = _pieces(stream, _CHUNK)
    head = b""
    while len(head) < _HEAD and (piece := next(pieces, b"")):
        head += piece
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if b"\0" in head[:_HEAD]:
        return _wide(head[:_HEAD])
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for piece in chain([head], pieces):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        stream.seek(0)
        return _other(list(_high_lines(stream)))
    return "utf-8"


def _pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Lines, or pieces of long ones; what lies behind a break in a compressed file is left to the reader to report."""
    with suppress(*BROKEN):
        while piece := stream.readline(size):
            yield piece


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark has its NUL bytes on one side of each pair; text with a stray NUL is still text."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    pairs = len(head) // 2
    if odd > 0.4 * pairs and even < 0.05 * pairs:
        return "utf-16-le"
    if even > 0.4 * pairs and odd < 0.05 * pairs:
        return "utf-16-be"
    return None if len(_CONTROL.findall(head)) > 0.01 * len(head) else "utf-8"


def _high_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The first lines that are not plain ASCII, each cut to a bounded length."""
    found, continued = 0, False
    for line in _pieces(stream, _SAMPLE_LINE):
        if not continued and not line.isascii():
            found += 1
            yield line
        if found == _SAMPLE_LINES:
            return
        continued = not line.endswith(b"\n")


def _other(lines: list[bytes]) -> str | None:
    """The encoding of lines that are not all UTF-8."""
    text = b"".join(lines)
    if len(_CONTROL.findall(text)) > 0.01 * len(text):
        return None
    if _share(lines, "utf-8") >= 0.5:
        return "utf-8"
    if _looks_western(text):
        return "cp1252" if _C1.search(text) and _share(lines, "cp1252") == 1 else "latin-1"
    if _share(lines, "gb18030") >= 0.9 and _looks_chinese(lines):
        return "gb18030"
    if sum(byte > 127 for byte in text) >= 0.3 * len(text):
        return _guess(text)
    return "utf-8"


def _share(lines: list[bytes], encoding: str) -> float:
    """Share of lines that decode; the last character of a line that was cut does not count against it."""
    decoder = codecs.getincrementaldecoder(encoding)
    good = 0
    for line in lines:
        try:
            decoder().decode(line, final=line.endswith(b"\n"))
            good += 1
        except UnicodeDecodeError:
            continue
    return good / len(lines)


def _looks_western(text: bytes) -> bool:
    """Western letters with accents stand between plain ones; 0xFF is in no word but in many a broken file."""
    text = _WINDOWS_MARKS.sub(b"", text)
    runs = _LETTERS.findall(text)
    letters = sum(map(len, runs))
    alone = sum(len(run) == 1 for run in runs)
    return b"\xff" not in text and alone >= 0.9 * len(runs) and len(_C1.findall(text)) <= 0.1 * letters


def _looks_chinese(lines: list[bytes]) -> bool:
    text = b"".join(lines).decode("gb18030", "replace")
    high = sum(not character.isascii() for character in text)
    return len(_CHINESE.findall(text)) >= 0.8 * high


def _guess(text: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(text[:_CHUNK]).best()
    return best.encoding if best else "utf-8"
