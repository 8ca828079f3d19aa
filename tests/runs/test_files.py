from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.runs.files import cache_folder, new_folder, read_json, replacing, replacing_folder, write_json


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LUTHIER_CACHE": "/one", "XDG_CACHE_HOME": "/two"}, Path("/one")),
        ({"XDG_CACHE_HOME": "/two"}, Path("/two/luthier")),
        ({"HOME": "/three"}, Path("/three/.cache/luthier")),
    ],
)
def test_cache_folder(variables: dict[str, str], expected: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LUTHIER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == expected


def test_json_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "b.json", {"é": [1, None]})
    assert read_json(tmp_path / "a" / "b.json") == {"é": [1, None]}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    write_json(file, 1)

    def fail() -> None:
        with replacing(file) as aside:
            aside.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert json.loads(file.read_text()) == 1
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "folder"

    def fill(fail: bool) -> None:
        with new_folder(target) as aside:
            (aside / "one").write_text("1")
            assert not target.exists()
            if fail:
                raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fill(fail=True)
    assert list(tmp_path.iterdir()) == []
    fill(fail=False)
    assert (target / "one").read_text() == "1"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "folder"

    def fill(name: str) -> None:
        with replacing_folder(target) as aside:
            (aside / name).write_text("")

    def held() -> list[str]:
        assert list(tmp_path.iterdir()) == [target]
        return [file.name for file in target.iterdir()]

    fill("old")
    assert held() == ["old"]
    rename = Path.rename

    def once(path: Path, to: Path) -> Path:
        if path.name.endswith(".partial"):
            assert [file.name for file in tmp_path.glob(".*.old/*")] == ["old"], "it is still there"
            raise OSError("killed")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(OSError, match="killed"):
        fill("new")
    monkeypatch.undo()
    assert held() == ["old"]
    fill("new")
    assert held() == ["new"]


def test_a_folder_that_another_process_made_stays(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with new_folder(target) as aside:
        (aside / "mine").write_text("")
        target.mkdir()
        (target / "theirs").write_text("")
    assert [file.name for file in target.iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [target]
