"""`luthier data convert` and `luthier data merge`."""

import json

import pytest

from luthier.cli.frame import run


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"headline": f"Sales rose by {n} percent.", "mood": "up"} for n in range(5)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"headline": ""}]))
    (tmp_path / "chat.jsonl").write_text(json.dumps({"prompt": "Sales rose by 1 percent.", "response": "up"}) + "\n")
    return tmp_path


SOURCE = "{path: rows.jsonl, columns: {text: headline, label: mood}}"


def test_convert_says_what_was_written_and_why_rows_are_missing(data, capsys):
    assert run(["data", "convert", SOURCE, "out.jsonl", "--to", "alpaca"]) == 0
    shown = capsys.readouterr().out
    assert "wrote 5 rows to out.jsonl, format alpaca" in shown
    assert "rows.jsonl: 1 unreadable: missing column 'mood'" in shown
    assert len((data / "out.jsonl").read_text().splitlines()) == 5


def test_convert_as_json(data, capsys):
    assert run(["data", "convert", SOURCE, "out.jsonl", "--to", "labelled", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    [source] = document["sources"]
    assert (document["output"], document["format"], document["written"]) == ("out.jsonl", "labelled", 5)
    assert (source["format"], source["read"], source["unreadable"]) == ("labelled", 6, {"missing column 'mood'": 1})


def test_merge_counts_what_two_files_share(data, capsys):
    assert run(["data", "merge", "chat.jsonl", SOURCE, "out.jsonl", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [source["written"] for source in document["sources"]] == [1, 5]
    assert json.loads((data / "out.jsonl").read_text().splitlines()[-1])["source"] == "rows.jsonl"
    assert run(["data", "merge", "chat.jsonl", "chat.jsonl", "twice.jsonl"]) == 0
    assert "in an earlier one" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["convert", "chat.jsonl", "rows.jsonl", "--to", "text"], ["merge", "rows.jsonl"]]
)
def test_files_that_are_there_stay(data, capsys, arguments):
    before = (data / "rows.jsonl").read_text()
    assert run(["data", *arguments]) == 2
    assert (data / "rows.jsonl").read_text() == before
    assert capsys.readouterr().err


def test_force_writes_over_a_file(data):
    (data / "out.jsonl").write_text("mine")
    assert run(["data", "convert", "chat.jsonl", "out.jsonl", "--to", "messages"]) == 2
    assert run(["data", "convert", "chat.jsonl", "out.jsonl", "--to", "messages", "--force"]) == 0
    assert "messages" in (data / "out.jsonl").read_text()


def test_nothing_to_write_is_3(data, capsys):
    assert run(["data", "convert", "chat.jsonl", "out.jsonl", "--to", "tagged"]) == 3
    assert "nothing can be written as tagged" in capsys.readouterr().err
