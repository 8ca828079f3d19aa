"""Texts to answer, read as rows are."""

import gzip
import json

import pytest

from luthier.data.questions import read_questions
from luthier.errors import DataError

CHINESE = ["\u592e\u884c\u964d\u606f\u5229\u597d\u80a1\u5e02", "\u8425\u6536\u4e0b\u6ed1\uff0c\u6210\u672c\u4e0a\u5347"]


def written(tmp_path, content):
    file = tmp_path / "new.txt"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_text_a_line_in_any_encoding(tmp_path, encoding, end):
    content = (end.join([CHINESE[0], "", CHINESE[1]]) + end).encode(encoding)
    assert read_questions(written(tmp_path, content)) == CHINESE
    assert read_questions(content) == CHINESE


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_the_text_of_json_lines(tmp_path, encoding):
    lines = "".join(json.dumps({"text": text, "n": 1}, ensure_ascii=False) + "\n" for text in CHINESE)
    assert read_questions(written(tmp_path, lines.encode(encoding))) == CHINESE


@pytest.mark.parametrize("separator", ["\u2028", "\u0085", "\f", "\v", "\x1c"])
def test_only_the_end_of_a_line_ends_a_text(separator):
    texts = [f"revenue{separator}fell", "costs grew"]
    assert read_questions("\n".join(texts).encode()) == texts
    if separator in "\u2028\u0085":  # the others are escaped in JSON
        lines = "\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in texts)
        assert read_questions(lines.encode()) == texts


def test_gzipped(tmp_path):
    file = tmp_path / "new.txt.gz"
    file.write_bytes(gzip.compress(b"one\ntwo\n"))
    assert read_questions(file) == ["one", "two"]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b'fine\n{"txt": "a"}\n', 2, "has no `text`"),
        (b'{"text": null}\n', 1, "has no `text`"),
        (b'{"text": "cut\n', 1, "has no `text`"),
        ("\u00e9\u00e8\n".encode() * 3 + b"bad \xff\n", 4, "not utf-8: byte 0xff"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(32)) * 20, 1, "a binary file"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path, content, line, message):
    file = written(tmp_path, content)
    with pytest.raises(DataError, match=message) as refused:
        read_questions(file)
    assert refused.value.where == f"{file}:{line}"
