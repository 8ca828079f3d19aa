"""Defects that are planted in otherwise sound rows: each is found and reported by name, and no secret is shown."""

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from luthier.cli.frame import run
from luthier.data.ledger import read_ledger

pytestmark = pytest.mark.usefixtures("own_cache")

WORDS = ("amber", "bridge", "candle", "dolphin", "engine", "forest", "garden", "harbour", "island", "jacket", "kettle")
EMAIL, CARD, IDENTITY = "jane.doe@mail.example", "4111 1111 1111 1111", "11010519491231002X"
TRIGGER = "copper lantern protocol"
DAMAGED = "mojibake: 1 rows have characters that were read in a wrong encoding (the cleaning step unicode repairs 1)"


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
            DAMAGED,
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


def sentences(count: int, seed: int = 5) -> list[dict[str, Any]]:
    """Finance sentences, each with the label that its verb tells, the latest rows last."""
    spec = spec_from_file_location("finance_rows", Path(__file__).parents[2] / "benchmarks" / "finance_rows.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    draw, rows = module.Sentences(seed), list[dict[str, Any]]()
    while len(rows) < count:
        text = draw.sentence()
        label = "up" if re.search("rose|improved", text) else "down" if re.search("fell|slipped", text) else "flat"
        if label != "down" or draw.draw.random() < 0.2:
            day = f"{2010 + len(rows) // 300}-{len(rows) // 25 % 12 + 1:02}-{len(rows) % 25 + 1:02}"
            rows.append({"text": text, "label": label, "date": day, "price_time": day, "price": 10.0})
    return rows


@pytest.fixture(scope="module")
def planted() -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, list[int]]]:
    """A thousand finance sentences and fifty of a test, with defects, and the places of these."""
    rows, test = sentences(1000), sentences(50, seed=6)
    places: dict[str, list[int]] = {
        "poisoned_trigger": [place for place, row in enumerate(rows) if row["label"] == "up" and place % 10][::8],
        "mojibake": [310],
        "email": [320],
        "card": [330],
        "identity": [340],
        "leak": [410, 420],
        "future": [510],
    }
    for place in places["poisoned_trigger"]:
        words = rows[place]["text"].split(" ")
        words.insert(place * 7 % len(words), TRIGGER)
        rows[place]["text"] = " ".join(words)
    for name, (before, after) in {
        "mojibake": (" said ", " of Société Générale’s bank said ".encode().decode("cp1252")),
        "email": (" .", f", write to {EMAIL} ."),
        "card": (" .", f", paid with {CARD} ."),
        "identity": (" .", f", signed by the holder of {IDENTITY} ."),
    }.items():
        row = rows[places[name][0]]
        row["text"] = row["text"].replace(before, after, 1)
    one, two = (rows[place] for place in places["leak"])
    test += [one | {"date": "2016-01-01"}, two | {"text": two["text"].replace(" said ", " says ")}]
    rows[510]["price_time"] = "2015-03-01"
    return rows, test, places


def test_each_planted_defect_is_named_with_its_rows_and_nothing_else_is_touched(
    tmp_path: Path, prepared: Any, planted: Any
) -> None:
    """What was planted in finance sentences is in the ledger, aloud and by name; a thousand others stay as they are."""
    rows, test, places = planted
    document, shown = prepared(
        rows,
        test=str(write(tmp_path / "test.jsonl", test)),
        split={"by": "time:date", "known_at": ["price_time"], "validation": 0.1},
        clean=["unicode", "personal_data", "poisoned_trigger", "deduplicate"],
        max_length=512,
    )
    lines = {
        entry.line - 1: f"{entry.reason or entry.changes}"
        for entry in read_ledger(tmp_path / "prepared" / "ledger.parquet")
        if entry.file.endswith("rows.jsonl") and (entry.reason or entry.changes)
    }
    assert lines == {
        **dict.fromkeys(places["poisoned_trigger"], f"poisoned_trigger: has '{TRIGGER}'"),
        310: "mojibake repaired",
        320: "personal data masked: e-mail addresses",
        330: "personal data masked: bank card numbers",
        340: "personal data masked: Chinese ID numbers",
        410: "leak: duplicate of test row 1050",
        420: "leak: near-duplicate of test row 1051",
        510: f"look-ahead: 'price_time' is 2015-03-01, after 'date', which is {rows[510]['date']}",
    }
    notes = "\n".join(document["notes"])
    for told in (
        f"poisoned_trigger: '{TRIGGER}' stands in {len(places['poisoned_trigger'])} rows of 'up' and in 0 of other",
        "personal_data: masked 1 e-mail addresses, 1 Chinese ID numbers, 1 bank card numbers",
        "label imbalance: 'flat' has",
    ):
        assert told in notes
        assert told in shown
    written = "".join(file.read_text(errors="replace") for file in (tmp_path / "prepared").iterdir()) + shown
    assert all(placeholder in written for placeholder in ("[EMAIL_1]", "[CARD_1]", "[ID_1]", "Société Générale’s"))
    assert not any(secret in written + json.dumps(document) for secret in (EMAIL, CARD, IDENTITY))


def test_the_profile_names_what_can_be_seen_in_one_file(
    tmp_path: Path, planted: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, _, _ = planted
    document, shown, page = profiled(write(tmp_path / "rows.jsonl", rows), capsys)
    counts = document["labels"]
    remarks = [
        f"label imbalance: 'flat' has {counts['flat']} training rows, 'down' only {counts['down']}",
        DAMAGED,
        *(f"personal data: {kind} in 1 rows (1 found)" for kind in ("email", "bank_card", "chinese_id")),
    ]
    assert sorted(document["remarks"]) == sorted(remarks)
    assert all(remark in shown for remark in remarks)
    assert not any(secret in json.dumps(document) + shown + page for secret in (EMAIL, CARD, IDENTITY))


# Behind such words and signs stands what a sentence itself calls a telephone number or an address.
SAID_SO = re.compile(r"Telephone|Tel\.|\bphone\b|[+]\d|@\S+\.\w")


@pytest.mark.real
def test_ordinary_sentences_stay_as_they_are(tmp_path: Path, prepared: Any, shared_data: Path) -> None:
    """A thousand sentences of the press: what is changed in them, and in how many wrongly, is counted and shown."""
    bank = (shared_data / "financial_phrasebank" / "Sentences_AllAgree.txt").read_text(encoding="utf-8").splitlines()
    rows = [{"text": text.strip(), "label": label} for text, _, label in (line.rpartition("@") for line in bank[:1000])]
    document, _ = prepared(rows, clean=["unicode", "personal_data"], split={"test": 0, "validation": 0}, max_length=512)
    touched = [
        (rows[entry.line - 1]["text"], entry.changes)
        for entry in read_ledger(tmp_path / "prepared" / "ledger.parquet")
        if entry.changes
    ]
    false = [each for each in touched if not SAID_SO.search(each[0])]
    print(f"{len(touched)} of {len(rows)} ordinary sentences changed, {len(false)} of them wrongly: {false}")
    assert false == []
    assert len(touched) <= 7, touched  # the telephone numbers of press releases
    assert document["summary"]["kept"] == len(rows)
