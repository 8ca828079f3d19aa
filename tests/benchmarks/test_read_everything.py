"""The table of all data sets: cells, reasons, and a real set from beginning to end."""

import json
import tarfile
from pathlib import Path

import pytest
import read_everything
import stocknet
from read_everything import Outcome, Set


def test_every_set_lies_where_it_is_said_to_lie(shared_data):
    assert [each.path for each in read_everything.SETS if not (shared_data / each.path).is_file()] == []
    covered = {each.path.partition("/")[0] for each in read_everything.SETS}
    assert covered == {folder.name for folder in shared_data.iterdir() if folder.is_dir()}


def test_a_set_that_cannot_be_read_is_a_line_with_its_reason():
    seen = {"rows": 5, "format": None}
    failed = Outcome(None, "'/tmp/x/rows' has a | in it", 1.0, 100.0)
    cells = read_everything.line(Set("a", "b"), seen, Outcome([seen], "", 0.54, 1234.0), failed, ("/tmp/x",))
    assert cells == [
        "a",
        "5",
        "none",
        "**not prepared:** 'rows' has a \\| in it",
        "0",
        "",
        "0.5",
        "1,234",
        "1.0",
        "100",
    ]
    assert read_everything.read(Set("gone", "no/such.csv"), "base")[3] == "not there"


def test_a_prepared_set_sums_to_what_came_in():
    summary = {"rows_in": 9, "kept": 7, "tokens": {"train": 60, "test": 5}, "reasons": [["dropped", "too long", 2]]}
    seen = {"rows": 9, "format": "labelled"}
    made = Outcome({"summary": summary}, "", 2.0, 300.0)
    cells = read_everything.line(Set("a", "b"), seen, Outcome([seen], "", 1.0, 200.0), made, ())
    assert cells[1:6] == ["9", "labelled", "2 too long", "7", "65"]
    table = read_everything.page([cells]).splitlines()
    assert table[-1].count("|") == table[-2].count("|") == table[-3].count("|") == 11


@pytest.mark.parametrize(("task", "wanted"), [("preferences", "preference"), ("text", "causal_lm")])
def test_the_configuration_follows_from_the_profile(task, wanted):
    made = read_everything.configuration(Set("a", "b"), "rows.jsonl", {"task": task}, "base")
    assert made["task"] == wanted
    assert made["data"]["too_long"] == ("split" if task == "text" else "truncate")


def test_stocknet_becomes_two_plain_files(tmp_path):
    source = tmp_path / "source"
    tweet = {"text": ["$", "aapl", "rose"], "created_at": "Wed Jan 01 03:59:03 +0000 2014", "user_id_str": "1"}
    for name, text in {
        "tweet/preprocessed/AAPL/2014-01-01": json.dumps(tweet) + "\n",
        "tweet/preprocessed/FB/2014-01-01": json.dumps(tweet) + "\n",
        "price/raw/AAPL.csv": "Date,Close\n2014-01-02,5\n",
        "LICENSE": "MIT",
    }.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for each in sorted(source.iterdir()):
            tar.add(each, each.name)
    stocknet.write(archive, tmp_path / "out", ("AAPL",))
    [row] = [json.loads(line) for line in (tmp_path / "out" / "tweets.jsonl").read_text().splitlines()]
    assert row == {"symbol": "AAPL", "created_at": tweet["created_at"], "text": "$ aapl rose"}
    assert (tmp_path / "out" / "prices.csv").read_text().splitlines() == ["symbol,Date,Close", "AAPL,2014-01-02,5"]


@pytest.mark.real
@pytest.mark.integration
def test_a_real_set_from_beginning_to_end(shared_data, smollm2, monkeypatch):
    monkeypatch.setattr(read_everything, "DATA", shared_data)
    [each] = [each for each in read_everything.SETS if each.name == "phrasebank AllAgree"]
    cells = read_everything.read(each, smollm2)
    assert cells[1:3] == ["2,264", "phrasebank"]
    assert cells[4] == "2,242"
    assert str(Path(shared_data)) not in " ".join(cells)
