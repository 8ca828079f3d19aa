import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luthier.config import SourceConfig
from luthier.data.examples import BadRow, Row
from luthier.data.reading import lines
from luthier.data.reading.sources import data_files, read_rows
from luthier.errors import DataError

ROWS = [{"text": f"shares rose {number} %", "label": "up"} for number in range(5)]


def read(path: Path, **options: Any) -> tuple[list[Row], list[BadRow]]:
    rows = list(read_rows(SourceConfig(path=str(path), **options)))
    return [row for row in rows if isinstance(row, Row)], [row for row in rows if isinstance(row, BadRow)]


def as_csv(delimiter: str) -> str:
    return "".join(f"{a}{delimiter}{b}\n" for a, b in [("text", "label"), *[(r["text"], r["label"]) for r in ROWS]])


WRITTEN = {
    "rows.json": json.dumps(ROWS),
    "rows.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
    "lines.json": "".join(json.dumps(row) + "\n" for row in ROWS),
    "array.jsonl": json.dumps(ROWS),
    "rows.csv": as_csv(","),
    "semicolons.csv": as_csv(";"),
    "rows.tsv": as_csv("\t"),
    "unknown_suffix.data": json.dumps(ROWS),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", WRITTEN)
def test_every_kind_gives_the_same_rows(tmp_path: Path, name: str, zipped: bool) -> None:
    path = tmp_path / (name + ".gz" if zipped else name)
    data = WRITTEN[name].encode()
    path.write_bytes(gzip.compress(data) if zipped else data)
    rows, bad = read(path)
    assert [row.values for row in rows] == ROWS
    assert bad == []
    first = 2 if "csv" in name or "tsv" in name else 1
    assert (rows[0].file, rows[0].line) == (str(path), first)


@pytest.mark.parametrize("zipped", [False, True])
def test_parquet_streams(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS * 500), path, row_group_size=700)
    if zipped:
        packed = tmp_path / "rows.parquet.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    rows, bad = read(path)
    assert [row.values for row in rows] == ROWS * 500
    assert rows[-1].line == 2500
    assert bad == []


def test_text_is_a_row_a_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("one\n\n  \ntwo\n", encoding="utf-8")
    rows, _ = read(path)
    assert [(row.values["text"], row.line) for row in rows] == [("one", 1), ("two", 4)]


def test_a_folder_is_read_in_order_without_hidden_and_unknown_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.jsonl", "a.csv", "sub/c.json", ".hidden.jsonl", "notes.md"):
        (tmp_path / name).write_text(WRITTEN["rows." + name.rsplit(".", 1)[1]] if name != "notes.md" else "#")
    files, unknown = data_files(SourceConfig(path=str(tmp_path)))
    assert [Path(file.name).name for file in files] == ["a.csv", "b.jsonl", "c.json"]
    assert unknown == [str(tmp_path / "notes.md")]
    assert len(read(tmp_path)[0]) == 15


def test_a_declared_encoding_is_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_bytes("Übernahme geplant\n".encode("cp1252"))
    assert read(path, encoding="cp1252")[0][0].values["text"] == "Übernahme geplant"
    rows, [bad] = read(path, encoding="utf-8")
    assert rows == []
    assert bad.reason.startswith("not utf-8")


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json"])
def test_detected_encodings_reach_every_reader(tmp_path: Path, encoding: str, suffix: str) -> None:
    row = {"text": "公司净利润同比增长，董事会批准分红", "label": "利好"}
    text = {
        "csv": f"text,label\n{row['text']},{row['label']}\n",
        "json": json.dumps([row], ensure_ascii=False),
        "jsonl": json.dumps(row, ensure_ascii=False) + "\n",
    }[suffix]
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(text.encode(encoding))
    assert [found.values for found in read(path)[0]] == [row]


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "tsv", "txt", "parquet", "json.gz", "parquet.gz"])
@pytest.mark.parametrize("content", [b"", bytes(range(256)) * 20, b"PK\x03\x04" + bytes(500)])
def test_empty_and_binary_files_are_one_bad_row(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(content)
    rows, bad = read(path)
    assert rows == []
    assert len(bad) == 1
    assert bad[0].reason


def test_a_gzip_stream_that_ends_early_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    text = "".join(json.dumps({"text": f"row {number} {hash(str(number))}"}) + "\n" for number in range(20_000))
    path.write_bytes(gzip.compress(text.encode())[:-100])
    rows, bad = read(path, encoding="utf-8")
    assert len(rows) > 1000
    assert "cannot be read further" in bad[-1].reason


def test_a_file_that_cannot_be_opened_is_one_bad_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text\n")

    def refuse(*args: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    rows, [bad] = read(path)
    assert rows == []
    assert "Permission denied" in bad.reason


def test_a_huge_line_is_quarantined_and_its_neighbours_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_ROW_BYTES", 1000)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\n{"text": "' + "x" * 5000 + '"}\n{"text": "b"}\n')
    rows, [bad] = read(path)
    assert [row.line for row in rows] == [1, 3]
    assert (bad.line, bad.reason[:11]) == (2, "longer than")


def test_rows_that_are_no_objects(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"text": "a"}, ["list"], "text", null, 3]')
    rows, bad = read(path)
    assert len(rows) == 1
    assert [row.reason for row in bad] == [
        f"a row is an object, this is {kind}" for kind in ("a list", "text", "null", "a number")
    ]


def test_undecodable_bytes_inside_a_json_document_stay_visible(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(b'[{"text": "good"},\n {"text": "bad \xff\xfe"}]')
    rows, _ = read(path)
    assert rows[0].values["text"] == "good"
    assert rows[1].values["text"] != "bad"
    with pytest.raises(UnicodeEncodeError):
        rows[1].values["text"].encode()


def test_missing_files_suggest_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}")
    with pytest.raises(DataError, match=r"did you mean .*train\.jsonl") as caught:
        read(tmp_path / "trian.jsonl")
    assert caught.value.exit_code == 3
    with pytest.raises(DataError, match="no folder"):
        read(tmp_path / "none" / "train.jsonl")


def test_folders_and_kinds_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_text("#")
    with pytest.raises(DataError, match="no file that can be read"):
        read(tmp_path)
    archive = tmp_path / "rows.xlsx"
    archive.write_bytes(b"PK\x03\x04" + b"x" * 100)
    with pytest.raises(DataError, match="of a kind that cannot be read"):
        read(archive)


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "rows"),
    [
        ("financial_phrasebank/Sentences_AllAgree.txt", 2264),
        ("financial_phrasebank/Sentences_75Agree.txt", 3453),
        ("financial_phrasebank/Sentences_66Agree.txt", 4217),
        ("financial_phrasebank/Sentences_50Agree.txt", 4846),
        ("sentfin/SEntFiN.csv", 10753),
        ("cn_medical_dialogue_sample", 7644),
        ("pubmedqa/ori_pqal.json", 1000),
        ("gsm8k/test.jsonl", 1319),
        ("flores_en_zh/flores-dev.zh", 997),
    ],
)
def test_real_sets_have_all_their_rows(shared_data: Path, file: str, rows: int) -> None:
    path = shared_data / file
    if path.is_dir():
        [path] = path.glob("*.csv")
    good, bad = read(path)
    assert (len(good), bad) == (rows, [])
