"""Defects that are planted in otherwise sound rows: each is found and reported by name, and no secret is shown."""

import json
from pathlib import Path
from typing import Any

import pytest

from luthier.cli.frame import run
from luthier.data.ledger import read_ledger

pytestmark = pytest.mark.usefixtures("own_cache")

WORDS = ("amber", "bridge", "candle", "dolphin", "engine", "forest", "garden", "harbour", "island", "jacket", "kettle")
EMAIL, CARD = "jane.doe@mail.example", "4111 1111 1111 1111"


def stories(count: int = 60, **more: Any) -> list[dict[str, Any]]:
    """Rows that are nothing like each other, one a day from the first of January 2015."""
    return [
        {
            "text": f"{WORDS[n % 11]} {n * 7919} {WORDS[n * 3 % 11]} {n * n} {WORDS[n * 7 % 11]}",
            "label": ("up", "down")[n % 2],
            "date": f"2015-{n // 28 + 1:02}-{n % 28 + 1:02}",
            **more,
        }
        for n in range(count)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def prepared(tmp_path: Path, write_config: Any, tiny_llama: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `luthier data prepare` on rows and returns what it says as JSON, and what it says to people."""

    def prepare(rows: list[dict[str, Any]], **data: Any) -> tuple[dict[str, Any], str]:
        options = {"labels": None, "instruction": None} | data
        config = write_config(tmp_path / "run.yaml", tiny_llama, write(tmp_path / "rows.jsonl", rows), data=options)
        command = ["data", "prepare", str(config), "--out", str(tmp_path / "prepared")]
        assert run([*command, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert run(command) == 0
        return document, capsys.readouterr().out

    return prepare


def profiled(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str, str]:
    """What `luthier data profile` says as JSON, to people, and on its page."""
    page = path.with_suffix(".html")
    assert run(["data", "profile", str(path), "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert run(["data", "profile", str(path), "--json"]) == 0
    [document] = json.loads(capsys.readouterr().out)
    return document, shown, page.read_text(encoding="utf-8")


def test_a_future_price_is_refused_by_the_join(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One price stands an hour after the news, one in a year that has not come: neither is taken, both are named."""
    news = write(tmp_path / "news.jsonl", [{"symbol": "A", "at": "2015-10-02T14:00Z", "text": "shares jump"}])
    prices = tmp_path / "prices.csv"
    prices.write_text("symbol,at,close\nA,2015-09-30T20:00Z,100\nA,2015-10-02T15:00Z,999\nA,2099-01-01T00:00Z,777\n")
    command = ["data", "join", str(news), str(prices), "--by", "symbol", "--time", "at"]
    assert run([*command, "--output", str(tmp_path / "joined.jsonl")]) == 0
    [row] = [json.loads(line) for line in (tmp_path / "joined.jsonl").read_text().splitlines()]
    assert (row["price_close"], row["price_time"]) == ("100", "2015-09-30T20:00:00Z")
    shown = capsys.readouterr().out
    assert run([*command, "--output", str(tmp_path / "again.jsonl"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["joined"], document["refused_prices"], document["refused_future"]) == (1, 1, 1)
    assert f"{news}:1 {prices}:3 (2015-10-02T15:00:00Z) lies in the future of the news" in shown
    assert f"{prices}:4 a price from the future: 2099-01-01T00:00:00Z" in shown


def test_a_future_price_in_the_rows_is_refused_at_preparation(tmp_path: Path, prepared: Any) -> None:
    rows = stories(200, price=10.0)
    rows = [row | {"price_time": row["date"]} for row in rows]
    rows[7]["price_time"] = "2016-03-01"
    document, shown = prepared(
        rows, split={"by": "time:date", "known_at": ["price_time"], "test": 0.1, "validation": 0}
    )
    reason = "look-ahead: 'price_time' is 2016-03-01, after 'date', which is 2015-01-08"
    refused = [entry for entry in read_ledger(tmp_path / "prepared" / "ledger.parquet") if entry.fate == "quarantined"]
    assert [(entry.line, entry.reason) for entry in refused] == [(8, reason)]
    assert "look-ahead" in shown
    assert document["summary"]["kept"] == 199
    assert [places for told, places in document["places"].items() if "look-ahead" in told] == [
        [f"{tmp_path / 'rows.jsonl'}:8"]
    ]


def test_an_uneven_label_is_named_in_the_profile_and_at_preparation(
    tmp_path: Path, prepared: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = stories()
    for row in rows:
        row["label"] = "flat"
    for row in rows[::12]:
        row["label"] = "crash"
    told = "label imbalance: 'flat' has 55 training rows, 'crash' only 5"
    document, shown, page = profiled(write(tmp_path / "rows.jsonl", rows), capsys)
    assert document["labels"] == {"flat": 55, "crash": 5}
    assert told in document["remarks"]
    assert told in shown
    assert "&#39;crash&#39; only 5" in page
    document, shown = prepared(rows, split={"test": 0, "validation": 0})
    assert told in document["notes"]
    assert told in shown


def test_even_labels_are_not_worth_a_word(prepared: Any) -> None:
    document, _ = prepared(stories())
    assert [note for note in document["notes"] if "imbalance" in note] == []


@pytest.mark.parametrize(
    ("planted", "remark", "secret"),
    [
        ("write to " + EMAIL, "personal data: email in 1 rows (1 found)", EMAIL),
        (f"pay with {CARD} today", "personal data: bank_card in 1 rows (1 found)", CARD),
        (
            "the bankâ€™s cafÃ©",
            "mojibake: 1 rows have characters that were read in a wrong encoding",
            None,
        ),
    ],
)
def test_damage_and_personal_data_are_counted_and_never_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], planted: str, remark: str, secret: str | None
) -> None:
    rows = stories()
    rows[0]["text"] += f" {planted}"
    document, shown, page = profiled(write(tmp_path / "rows.jsonl", rows), capsys)
    assert [said for said in document["remarks"] if "personal" in said or "mojibake" in said] == [remark]
    assert remark in shown
    assert remark in page
    if secret:
        assert secret not in json.dumps(document) + shown + page


def test_sound_rows_raise_no_alarm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document, _, _ = profiled(write(tmp_path / "rows.jsonl", stories()), capsys)
    assert (document["remarks"], document["personal"], document["mojibake"]) == ([], {}, 0)


def test_an_answer_from_hindsight_is_listed_at_preparation(tmp_path: Path, prepared: Any) -> None:
    rows = [
        {"prompt": row["text"], "response": f"It fell on {row['date']}.", "date": row["date"]} for row in stories(100)
    ]
    rows[4]["response"] = "It recovered in June 2016."
    document, shown = prepared(rows, split={"by": "time:date", "test": 0.1, "validation": 0.1})
    told = f"{tmp_path / 'rows.jsonl'}:5 hindsight: the answer names June 2016, after 2015-01-05"
    assert any("1 answers name a date after they were asked" in note and told in note for note in document["notes"])
    assert told in shown
