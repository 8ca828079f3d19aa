import io

import pytest

from luthier.data.reading import lines
from luthier.data.reading.lines import Line, read_lines


def read(data: bytes, encoding: str = "utf-8") -> list[Line]:
    return list(read_lines(io.BytesIO(data), encoding))


def test_lines_are_numbered_and_lose_their_endings() -> None:
    assert read(b"one\r\n\ntwo\nthree") == [Line(1, "one"), Line(2, ""), Line(3, "two"), Line(4, "three")]


def test_a_byte_order_mark_is_no_text() -> None:
    assert read("é\n".encode("utf-8-sig"), "utf-8-sig") == [Line(1, "é")]
    assert read("é\n".encode("utf-8-sig"), "utf-8") == [Line(1, "é")]


def test_other_line_separators_of_unicode_do_not_split() -> None:
    assert [line.text for line in read("a\u2028b\x85c\n".encode())] == ["a\u2028b\x85c"]


def test_one_undecodable_line_costs_one_line() -> None:
    first, broken, last = read("é\n".encode() + b"bad \xff\n" + "ü\n".encode())
    assert (first.text, last.text) == ("é", "ü")
    assert broken.problem == "not utf-8: byte 0xff at position 4"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_wide_encodings(encoding: str) -> None:
    # U+0A0D and U+0D0A hold the bytes of line ends
    assert [line.text for line in read("one\u0a0d\ntwo\u0d0a\n".encode(encoding), encoding)] == [
        "one\u0a0d",
        "two\u0d0a",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_that_is_too_large_is_skipped_in_pieces(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setattr(lines, "MAX_ROW_BYTES", 10)
    short, large, last = read(f"short\n{'x' * 35}\nlast\n".encode(encoding), encoding)
    assert (short.text, last.text, last.number) == ("short", "last", 3)
    assert large.problem is not None
    assert "longer than" in large.problem
    assert large.text == ""
