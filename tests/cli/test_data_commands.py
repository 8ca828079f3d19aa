"""`luthier data prepare`, `diff` and `profile` on small files, as people and machines get them."""

import json

import pytest

from luthier import pipeline
from luthier.cli.frame import run
from luthier.config import SourceConfig
from luthier.data.ledger import read_ledger
from luthier.data.reading.sources import read_rows

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_cache")]


@pytest.fixture
def config(tmp_path, write_config, tiny_llama, labelled_file):
    return write_config(tmp_path / "run.yaml", tiny_llama, labelled_file)


def prepared(config, folder, *more):
    return run(["data", "prepare", str(config), "--out", str(folder), *more])


def test_prepare_writes_what_would_be_trained_on(config, tmp_path, labelled_file, capsys):
    folder = tmp_path / "prepared"
    assert prepared(config, folder, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert {file.name for file in folder.iterdir()} == {
        "train.jsonl", "validation.jsonl", "test.jsonl", "ledger.parquet", "prepared.json", "config.yaml",
    }  # fmt: skip
    given = [json.loads(line) for line in labelled_file.read_text().splitlines()]
    ledger = list(read_ledger(folder / "ledger.parquet"))
    for split, count in document["rows"].items():
        rows = [row.values for row in read_rows(SourceConfig(path=str(folder / f"{split}.jsonl")))]
        assert len(rows) == count == document["summary"]["rows"][split]
        assert all(given[row.pop("row_id")] == row for row in map(dict, rows))
        assert [row["row_id"] for row in rows] == [e.row_id for e in ledger if (e.fate, e.split) == ("kept", split)]
    assert sum(document["rows"].values()) == 60 == len(ledger)
    assert document["peak_memory_mb"] > 0


def test_prepare_shows_where_to_look(config, tmp_path, labelled_file, capsys):
    rows = labelled_file.read_text().splitlines()
    doubled = tmp_path / "rows.jsonl"
    doubled.write_text("\n".join([*rows, rows[4], ""]))
    assert prepared(config, tmp_path / "out", "--set", f"data.train={doubled}") == 0
    shown = capsys.readouterr().out
    assert "61 rows in, 60 kept, 1 left out" in shown
    assert "exact duplicate of row N" in shown
    assert f"{doubled}:61" in shown
    assert f"{tmp_path / 'out' / 'train.jsonl'}   (" in shown


def test_prepare_takes_what_training_prepared(config, tmp_path, monkeypatch):
    before = pipeline.prepare(config)
    monkeypatch.setattr("luthier.data.prepare._write", lambda *_: pytest.fail("prepared again"))
    made = pipeline.write_prepared(config, tmp_path / "out")
    assert made.prepared.digest == before.digest
    again = pipeline.write_prepared(config, tmp_path / "out")
    assert again.rows == made.rows, "an earlier preparation is replaced"


def test_prepare_does_not_write_over_other_things(config, tmp_path, capsys):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "precious.txt").write_text("mine")
    assert prepared(config, folder) == 2
    assert "no preparation" in capsys.readouterr().err
    assert [file.name for file in folder.iterdir()] == ["precious.txt"]


def test_prepare_keeps_what_was_put_beside_an_earlier_preparation(config, tmp_path, capsys):
    folder = tmp_path / "out"
    assert prepared(config, folder) == 0
    (folder / "notes.txt").write_text("mine")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert prepared(config, folder) == 2
    assert "no preparation: notes.txt" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("out", [".", "..", "file"])
def test_prepare_needs_a_folder_of_its_own(config, tmp_path, monkeypatch, capsys, out):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "file").write_text("mine")
    monkeypatch.chdir(tmp_path / "empty")
    assert prepared(config, out) == 2
    assert "expected: an empty or a new folder" in capsys.readouterr().err
    assert (tmp_path / "empty" / "file").read_text() == "mine"


def test_diff_of_folders_configurations_and_runs(config, tmp_path, trained_llama, capsys):
    folder = tmp_path / "prepared"
    assert prepared(config, folder) == 0
    capsys.readouterr()
    assert run(["data", "diff", str(folder), str(trained_llama.path)]) == 0
    assert "60 rows in both, of which 60 are the same" in capsys.readouterr().out
    other = tmp_path / "other.yaml"
    other.write_text(config.read_text().replace("seed: 1", "seed: 2"))
    everything = tmp_path / "all.jsonl"
    assert run(["data", "diff", str(folder), str(other), "--output", str(everything), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    changes = [json.loads(line) for line in everything.read_text().splitlines()]
    assert set(document["counts"]) == {"split"}
    assert len(changes) == document["counts"]["split"] > 5
    assert document["same"] + len(changes) == 60
    assert run(["data", "diff", str(folder), str(other)]) == 0
    assert "--output FILE writes every change" in capsys.readouterr().out


def test_diff_of_other_files_says_so(config, tmp_path, labelled_file, capsys):
    other = tmp_path / "other.jsonl"
    other.write_text(labelled_file.read_text())
    assert prepared(config, tmp_path / "a") == 0
    assert prepared(config, tmp_path / "b", "--set", f"data.train={other}") == 0
    capsys.readouterr()
    assert run(["data", "diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "no row is in both" in capsys.readouterr().out


def test_diff_without_a_preparation_is_2(tmp_path, capsys):
    assert run(["data", "diff", str(tmp_path), str(tmp_path)]) == 2
    assert "there is no preparation in" in capsys.readouterr().err


def test_profile_of_several_files(tmp_path, labelled_file, tiny_llama, capsys):
    lines = tmp_path / "lines.txt"
    lines.write_text("公司业绩增长\n第二行 <b>\n", encoding="utf-8")
    page = tmp_path / "profile.html"
    command = ["data", "profile", str(labelled_file), str(lines), "--base", str(tiny_llama)]
    assert run([*command, "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "60 in 1 jsonl file" in shown
    assert "2 in 1 txt file" in shown
    assert "tokens a row" in shown
    html = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert run([*command, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["labels"] == {"up": 20, "down": 20, "flat": 20}
    assert first["tokens"]["total"] > first["rows"]
    assert second["scripts"] == {"Chinese": 2}


def test_profile_of_nothing_is_3(tmp_path, capsys):
    assert run(["data", "profile", str(tmp_path / "none.csv")]) == 3
    assert "there is no file" in capsys.readouterr().err
