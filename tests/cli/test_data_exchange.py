"""`luthier data convert`, `merge`, `join` and `forecast`: what they write, and what they leave alone."""

import json

import pytest

from luthier.cli.frame import run


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"headline": f"Sales rose by {n} percent.", "mood": "up"} for n in range(5)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"headline": ""}]))
    (tmp_path / "chat.jsonl").write_text(json.dumps({"prompt": "Sales rose by 1 percent.", "response": "up"}) + "\n")
    news = [{"symbol": "A", "at": f"2015-01-{day:02}T14:00Z", "text": f"day {day}"} for day in range(3, 30)]
    (tmp_path / "news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in news))
    prices = [f"A,2015-01-{day:02},{day}" for day in range(1, 32)]
    (tmp_path / "prices.csv").write_text("\n".join(["symbol,date,close", *prices]))
    return tmp_path


MARKET = ["news.jsonl", "prices.csv", "--by", "symbol", "--time", "at=date"]
JOIN, FORECAST = ["join", *MARKET], ["forecast", *MARKET, "--price", "close", "--weeks", "1"]
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


@pytest.mark.parametrize(("command", "output"), [(JOIN, "joined.jsonl"), (FORECAST, "forecasts.jsonl")])
def test_rows_of_news_replace_no_file_unasked(data, capsys, command, output):
    (data / output).write_text("mine")
    assert run(["data", *command]) == 2
    assert f"there is already a file '{output}'" in capsys.readouterr().err
    assert (data / output).read_text() == "mine"
    assert run(["data", *command, "--force"]) == 0
    assert '"symbol": "A"' in (data / output).read_text()


@pytest.mark.parametrize("command", [JOIN, FORECAST])
@pytest.mark.parametrize("output", ["news.jsonl", "prices.csv", "folder/news.jsonl", "kept"])
def test_news_and_prices_are_not_written_over(data, capsys, command, output):
    news = {"folder/news.jsonl": "folder", "kept": "kept.left-out.jsonl"}.get(output, "news.jsonl")
    (data / "folder").mkdir()
    for name in ("folder/news.jsonl", "kept.left-out.jsonl"):
        (data / name).write_bytes((data / "news.jsonl").read_bytes())
    before = {path: path.read_bytes() for path in data.rglob("*.*")}
    assert run(["data", command[0], news, *command[2:], "--output", output, "--force"]) == 2
    assert "it cannot be written at the same time" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in data.rglob("*.*")} == before


def test_nothing_to_write_is_3(data, capsys):
    assert run(["data", "convert", "chat.jsonl", "out.jsonl", "--to", "tagged"]) == 3
    assert "nothing can be written as tagged" in capsys.readouterr().err
