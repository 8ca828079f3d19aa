import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from luthier.config import SourceConfig
from luthier.data.examples import Row
from luthier.data.reading.archives import unpacked
from luthier.data.reading.sources import data_files, read_rows
from luthier.errors import DataError

FILES = {
    "news/a.jsonl": json.dumps({"text": "Profit rose", "label": "up"}),
    "news/b.csv": "text,label\nCosts fell,down\n",
    "tweets/AAPL/2014-01-01": json.dumps({"text": ["$", "aapl"]}),
    "README.txt": "About",
}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


def pack(path: Path, files: dict[str, str]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    else:
        with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
            for name, text in files.items():
                about = tarfile.TarInfo(name)
                about.size = len(text.encode())
                tar.addfile(about, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize("name", ["rows.tar.gz", "rows.tgz", "rows.tar", "rows.zip"])
def test_an_archive_is_read_like_a_folder(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / name, FILES)
    files, unknown = data_files(SourceConfig(path=str(path)))
    assert [file.name for file in files] == [f"{path}/news/a.jsonl", f"{path}/news/b.csv"]
    assert unknown == [f"{path}/README.txt", f"{path}/tweets/AAPL/2014-01-01"]
    rows = list(read_rows(SourceConfig(path=str(path))))
    assert [row.values["label"] for row in rows if isinstance(row, Row)] == ["up", "down"]


def test_a_pattern_picks_files_even_without_a_suffix(tmp_path: Path) -> None:
    path = pack(tmp_path / "rows.zip", FILES)
    [row] = read_rows(SourceConfig(path=str(path), files="tweets/*"))
    assert isinstance(row, Row)
    assert row.values == {"text": ["$", "aapl"]}
    with pytest.raises(DataError, match=r"no file that matches 'nothing/\*'"):
        data_files(SourceConfig(path=str(path), files="nothing/*"))


def test_it_is_unpacked_once_and_again_when_it_changes(tmp_path: Path) -> None:
    path = pack(tmp_path / "rows.zip", FILES)
    first = unpacked(path)
    before = {file: file.stat().st_mtime_ns for file in first.rglob("*")}
    assert unpacked(path) == first
    assert {file: file.stat().st_mtime_ns for file in first.rglob("*")} == before
    assert unpacked(pack(path, {"news/a.jsonl": "{}"})) != first


@pytest.mark.parametrize("name", ["rows.tar.gz", "rows.zip"])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / name, {"../outside.jsonl": "{}"})
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpacked(path)
    assert not list(tmp_path.rglob("outside.jsonl"))


def test_a_damaged_archive_is_refused_whole(tmp_path: Path) -> None:
    path = pack(tmp_path / "rows.tar.gz", FILES)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="unpack it and give the folder"):
        unpacked(path)
    assert not (tmp_path / "cache" / "archives").exists() or not list((tmp_path / "cache" / "archives").iterdir())
