"""Data sets through the hub's library; the files are local, as no test needs a network."""

import json
from pathlib import Path
from typing import Any

import pytest

from luthier.config import SourceConfig, parse_source
from luthier.data.examples import BadRow, Row
from luthier.data.reading import hub
from luthier.data.reading.sources import data_files, read_rows
from luthier.errors import ConfigError, DataError

ROWS = [{"text": f"row {number}", "label": "up"} for number in range(30)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pytest.importorskip("datasets", reason="pip install 'luthier[hub]'")
    place = tmp_path / "news"
    place.mkdir()
    for split, rows in (("train", ROWS), ("test", ROWS[:3])):
        (place / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place


def read(path: str, **options: Any) -> list[Row | BadRow]:
    return list(read_rows(SourceConfig(path=path, **options)))


def test_a_split_streams(folder: Path) -> None:
    rows = read(f"hub:{folder}")
    assert [row.values for row in rows if isinstance(row, Row)] == ROWS
    assert (rows[-1].file, rows[-1].line) == (f"hub:{folder}", 30)
    assert len(read(f"hub:{folder}", split="test")) == 3


def test_a_wrong_split_is_an_error_that_names_the_right_ones(folder: Path) -> None:
    with pytest.raises(DataError, match="train") as caught:
        read(f"hub:{folder}", split="dev")
    assert "split dev" in str(caught.value.where)


def test_the_digest_follows_the_files_and_the_split(folder: Path) -> None:
    def digest(**options: Any) -> str:
        return data_files(SourceConfig(path=f"hub:{folder}", **options))[0][0].digest()

    before = digest()
    assert digest() == before
    assert digest(split="test") != before
    (folder / "train.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    assert digest() != before


def test_a_name_on_the_hub_is_read_at_the_commit_it_means(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub

    asked: list[Any] = []

    class About:
        sha = "c0ffee"

    def info(self: Any, name: str, revision: str | None, timeout: float) -> About:
        asked.append((name, revision))
        return About()

    def load(name: str, subset: str | None, **options: Any) -> Any:
        asked.append((name, subset, options))
        return iter(ROWS)

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)
    monkeypatch.setattr(datasets, "load_dataset", load)
    [source], _ = data_files(SourceConfig(path="hub:owner/news@v2", subset="en", split="test"))
    first = source.digest()
    assert len(list(source.rows())) == 30
    assert asked == [
        ("owner/news", "v2"),
        ("owner/news", "en", {"split": "test", "streaming": True, "revision": "c0ffee"}),
    ]
    About.sha = "decade"
    assert data_files(SourceConfig(path="hub:owner/news@v2", subset="en", split="test"))[0][0].digest() != first


def test_a_hub_that_cannot_be_reached_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def info(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no route\nto the host")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)
    with pytest.raises(DataError, match="the data set cannot be opened: no route") as caught:
        read("hub:owner/news")
    assert "network" in str(caught.value)


def test_rows_before_a_break_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(self: hub.HubRows) -> Any:
        yield from ROWS
        raise OSError("the line went dead")

    monkeypatch.setattr(hub.HubRows, "_opened", opened)
    *rows, bad = read("hub:owner/news")
    assert len(rows) == 30
    assert bad == BadRow("hub:owner/news", 31, "the data set cannot be read further: the line went dead")


def test_subset_and_split_belong_to_the_hub() -> None:
    with pytest.raises(ConfigError, match="belong to data sets of the hub"):
        parse_source("{path: rows.csv, split: test}")
    assert parse_source("{path: 'hub:a/b', split: test}") == SourceConfig(path="hub:a/b", split="test")
    assert parse_source("rows.csv") == SourceConfig(path="rows.csv")
    with pytest.raises(ConfigError, match="did you mean 'format'"):
        parse_source("{path: rows.csv, fromat: text}")
