from pathlib import Path

import pytest

from luthier.config import SourceConfig
from luthier.data.examples import BadRow, Pair, Row
from luthier.data.intake import OpenSource
from luthier.data.reading.sources import data_files, read_rows
from luthier.errors import DataError


def written(folder: Path, english: bytes, chinese: bytes) -> str:
    (folder / "dev.en").write_bytes(english)
    (folder / "dev.zh").write_bytes(chinese)
    return str(folder / "dev.{en,zh}")


def test_two_files_are_pairs_line_by_line(tmp_path: Path) -> None:
    path = written(tmp_path, b"Profit rose.\n\nCosts fell.\n", "利润增长。\n\n成本下降。\n".encode())
    opened = OpenSource.open(SourceConfig(path=path), lambda note: None)
    assert opened.name == "pair"
    rows = [row for row in opened.rows() if isinstance(row, Row)]
    assert [row.line for row in rows] == [1, 3]
    assert opened.format is not None
    assert opened.format.example(rows[1]) == Pair("Costs fell.", "成本下降。")


def test_lines_without_a_counterpart_and_broken_ones_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, b"One.\nTwo \xff.\nThree.\n", b"1.\n2.\n")
    _, two, three = read_rows(SourceConfig(path=path, encoding="utf-8"))
    assert isinstance(two, BadRow)
    assert two.reason.endswith("in the file of en")
    assert three == BadRow(path, 3, "the file of zh ends before this line")


def test_each_file_has_its_own_encoding_and_both_count_for_the_digest(tmp_path: Path) -> None:
    chinese = "公司净利润同比增长百分之二十，营业收入也有所增长。\n"
    path = written(tmp_path, b"Profit rose.\n", chinese.encode("gb18030"))
    [file] = data_files(SourceConfig(path=path))[0]
    [row] = file.rows()
    assert isinstance(row, Row)
    assert row.values["zh"] == chinese.strip()
    assert file.encoding == "gb18030"
    before = file.digest()
    written(tmp_path, b"Profit rose!\n", chinese.encode("gb18030"))
    assert file.digest() != before


def test_empty_and_missing_files(tmp_path: Path) -> None:
    [row] = read_rows(SourceConfig(path=written(tmp_path, b"", b"")))
    assert row == BadRow(str(tmp_path / "dev.{en,zh}"), 1, "the files have no lines")
    (tmp_path / "dev.zh").unlink()
    with pytest.raises(DataError, match="there is no file"):
        list(read_rows(SourceConfig(path=str(tmp_path / "dev.{en,zh}"))))
