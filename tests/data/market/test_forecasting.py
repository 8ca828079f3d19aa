"""Rows for a forecaster: what they say, what is left out, and that nothing of the future is in a prompt."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from luthier.config import RunConfig, SourceConfig
from luthier.data.examples import Conversation
from luthier.data.intake import iterate_examples
from luthier.data.market.forecasting import Forecasts, make_forecasts
from luthier.data.market.forecasts import read_forecast, stated_moves
from luthier.data.market.plans import plan_forecasts
from luthier.errors import DataError
from luthier.progress import silent

MONDAY = date(2015, 1, 5)
CLOSES = [100.0, 101.0, 99.99, 103.9896, 103.9896, 98.79012, 98.79012]
"""Of the Fridays from 2015-01-02 on: +1 %, -1 %, +4 %, none, -5 %, none."""

NEWS = [
    {"symbol": "A", "at": "2015-01-13T14:30Z", "text": "second week"},
    {"symbol": "A", "at": "2015-01-06T14:30Z", "text": "first week,\n one"},
    {"symbol": "A", "at": "2015-01-08T14:30Z", "text": "first week, three"},
    {"symbol": "A", "at": "2015-01-07T14:30Z", "text": "First  week, one"},
    {"symbol": "A", "at": "2015-01-09T14:30Z", "text": "first week, four"},
]


def price_rows(closes: list[float] = CLOSES, symbol: str = "A") -> list[dict[str, Any]]:
    first = MONDAY - timedelta(days=3)
    return [{"symbol": symbol, "date": str(first + timedelta(days=7 * n)), "close": c} for n, c in enumerate(closes)]


@pytest.fixture
def forecast(tmp_path: Path) -> Any:
    def run(
        news: list[dict[str, Any]] = NEWS,
        prices: list[dict[str, Any]] | None = None,
        companies: list[dict[str, Any]] | None = None,
        **words: Any,
    ) -> tuple[Forecasts, list[Any], list[Any]]:
        files = {"news": news, "prices": price_rows() if prices is None else prices, "companies": companies or []}
        for name, rows in files.items():
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        sources = {name: SourceConfig(path=str(tmp_path / f"{name}.jsonl")) for name in files}
        words = {"price": "close", "close": "16:00", "zone": "America/New_York", "weeks": 1} | words
        plan = plan_forecasts("symbol", "at=date", **words)
        about = sources["companies"] if companies else None
        out = tmp_path / "forecasts.jsonl"
        made = make_forecasts(sources["news"], sources["prices"], out, plan, silent, about)
        read = [[json.loads(line) for line in path.read_text().splitlines()] for path in (out, made.left_out_file)]
        return made, read[0], read[1]

    return run


def test_a_row_tells_of_a_week_and_is_answered_by_the_next(forecast: Any) -> None:
    _, rows, _ = forecast(most=2)
    assert rows[0] == {
        "symbol": "A",
        "period": "2015-01-12 to 2015-01-19",
        "prompt": "From 2015-01-05 to 2015-01-12, A's stock price rose by 1.0%. News of this week:\n"
        "- first week, one\n- first week, four\n\n"
        "Forecast the move of A's stock price in the next week, from 2015-01-12 to 2015-01-19.",
        "answer": "[Prediction & Analysis]:\nPrediction: Down by 0-1%",
        "label": "down by 0-1%",
        "label_change": -0.01,
        "label_time": "2015-01-16T21:00:00Z",
        "asked_at": "2015-01-12T05:00:00Z",
        "known_time": "2015-01-09T21:00:00Z",
    }
    assert rows[1]["label"] == "up by 3-4%"
    assert len(rows) == 2


def test_several_weeks_are_told_in_order_and_weeks_without_news_say_so(forecast: Any) -> None:
    news = [*NEWS, {"symbol": "A", "at": "2015-01-27T14:30Z", "text": "fourth week"}]
    _, rows, _ = forecast(news, weeks=3, most=1)
    last = rows[-1]
    assert last["period"] == "2015-02-02 to 2015-02-09"
    assert stated_moves(last["prompt"]) == [-1.0, 4.0, 0.0]
    assert last["prompt"].index("second week") < last["prompt"].index("No news.") < last["prompt"].index("fourth week")
    assert "first week" not in last["prompt"]
    assert last["label"] == "down by 4-5%"


def test_every_row_of_the_news_is_shown_or_left_out_with_its_reason(forecast: Any, tmp_path: Path) -> None:
    news = [
        *NEWS,
        {"symbol": "C", "at": "2015-01-06T14:30Z", "text": "of an unknown company"},
        {"symbol": "A", "at": "some day", "text": "at no time"},
        {"symbol": "A", "at": "2015-01-06T14:30Z", "text": " "},
        {"symbol": "A", "at": "2014-12-10T14:30Z", "text": "before all prices"},
        {"symbol": "A", "at": "2015-02-10T14:30Z", "text": "in the last week"},
    ]
    made, rows, left_out = forecast(news, most=2)
    assert made.news == len(news) == made.shown + len(left_out)
    assert made.rows == len(rows) == 2
    assert made.shown == 3
    file = tmp_path / "news.jsonl"
    assert {row["line"]: row["reason"] for row in left_out} == {
        3: "more than 2 in its week",
        4: f"says the same as {file}:2",
        6: "no price of C",
        7: "column 'at' is 'some day', expected ISO 8601 or a number",
        8: "column 'text' is empty",
        9: "no price of A in the week from 2014-12-01 on",
        10: "the week from 2015-02-16 on is not over: no price of A from 2015-02-23 on",
    }
    assert sum(made.left_out.values()) == len(left_out)
    assert made.to_dict()["labels"] == {"down by 0-1%": 1, "up by 3-4%": 1}


def test_a_planted_future_changes_no_prompt(forecast: Any) -> None:
    """Prices and news from after the moment of asking: only answers may differ."""
    _, before, _ = forecast(weeks=2)
    planted = price_rows([*CLOSES[:3], 500.0, *CLOSES[4:]])
    later = [
        {"symbol": "A", "at": "2015-01-19T05:00:00Z", "text": "planted: at the very moment"},
        {"symbol": "A", "at": "2015-01-20", "text": "planted: it will jump to 500"},
        {"symbol": "A", "at": "2015-01-18", "text": "planted: dated by its day, known when that is over"},
        {"symbol": "A", "at": "2015-01-19T00:00Z", "text": "planted: dated by the day of asking"},
    ]
    _, after, _ = forecast([*NEWS, *later], planted, weeks=2)
    assert [row["prompt"] for row in after[: len(before)]] == [row["prompt"] for row in before]
    assert before[-1]["period"] == "2015-01-19 to 2015-01-26"
    assert after[len(before) - 1]["label"] == "up by more than 5%"
    shown = "\n".join(row["prompt"] for row in after[: len(before)])
    assert "planted" not in shown
    assert "planted" in after[-1]["prompt"], "in the week after it is known"


def test_a_price_is_known_at_the_close_only(forecast: Any) -> None:
    """A price dated by a Monday is not known when that Monday begins, though its date is the day of asking."""
    monday = [{"symbol": "A", "date": "2015-01-12", "close": 400.0}]
    _, rows, _ = forecast(prices=[*price_rows(), *monday])
    assert stated_moves(rows[0]["prompt"]) == [1.0]


def test_a_week_that_is_not_over_is_no_answer(forecast: Any) -> None:
    made, rows, _ = forecast(prices=price_rows(CLOSES[:3]))
    assert rows == [], "the price of Friday is there, but nobody can tell that it is the last one"
    assert made.left_out["the week after is not over"] == 4


def test_a_week_without_a_price_has_no_move(forecast: Any) -> None:
    rows = price_rows()
    made, _, left_out = forecast(prices=[*rows[:2], *rows[3:]])
    assert made.left_out["a week without a price"] == 5 - made.left_out["the same as another of its week"]
    assert left_out[-1]["reason"] == "no price of A in the week from 2015-01-12 on"


def test_prices_that_are_none_are_named(forecast: Any, tmp_path: Path) -> None:
    prices = price_rows()
    prices[2]["close"] = "n/a"
    _, rows, left_out = forecast(prices=prices)
    assert rows == []
    assert left_out[-1]["reason"] == f"{tmp_path / 'prices.jsonl'}:3: the price in 'close' is 'n/a'"


def test_a_company_is_introduced(forecast: Any) -> None:
    _, rows, _ = forecast(companies=[{"symbol": "A", "name": "Amber Oyj", "sector": "", "founded": 1899}])
    assert rows[0]["prompt"].startswith(
        "[Company Introduction]:\n\nsymbol: A\nname: Amber Oyj\nfounded: 1899\n\nFrom 2015-01-05"
    )
    with pytest.raises(DataError, match="no symbol in column 'symbol'"):
        forecast(companies=[{"name": "Amber Oyj"}])
    with pytest.raises(DataError, match="column 'name' has bytes that are no text"):
        forecast(companies=[{"symbol": "A", "name": "\ud83d"}])


def test_stocks_are_kept_apart(forecast: Any) -> None:
    news = [*NEWS, {"symbol": "B", "at": "2015-01-13T14:30Z", "text": "of the other one"}]
    _, rows, _ = forecast(news, [*price_rows(), *price_rows([c * 2 for c in CLOSES], "B")], weeks=2)
    assert ["first week" in row["prompt"] for row in rows if row["symbol"] == "B"] == [False]


def test_columns_that_are_not_there(forecast: Any) -> None:
    with pytest.raises(DataError, match="the prices have no column 'open'"):
        forecast(prices=[{"symbol": "A", "date": "2015-01-02", "close": 1}], price="open")


def test_rows_are_read_as_conversations_split_by_time(forecast: Any, tmp_path: Path) -> None:
    forecast(weeks=2)
    split = {"by": "time:asked_at", "known_at": ["known_time"], "label_time": "label_time"}
    config = RunConfig.model_validate(
        {"model": {"base": "none"}, "data": {"train": str(tmp_path / "forecasts.jsonl"), "split": split}}
    )
    notes: list[str] = []
    taken = list(iterate_examples(config, notes.append))
    assert any("fingpt_forecaster" in note for note in notes)
    assert taken
    for row in taken:
        assert isinstance(row.example, Conversation)
        assert read_forecast(row.example.messages[-1].content)
        assert row.known is not None
        assert isinstance(row.key, float)
        assert row.known > row.key


@pytest.mark.real
def test_weeks_of_tweets_of_one_company(shared_data: Path, tmp_path: Path) -> None:
    """Raw tweets and daily prices of one stock: what a prompt tells was known when it is asked, its answer was not."""
    import csv
    import io
    import tarfile

    news: list[str] = []
    with tarfile.open(shared_data / "stocknet" / "stocknet_price_tweets.tar.gz") as tar:
        for member in tar:
            text = (tar.extractfile(member) or io.BytesIO()).read().decode() if member.isfile() else ""
            if member.name.startswith("tweet/preprocessed/KO/"):
                rows = [json.loads(line) for line in text.splitlines()]
                news += [json.dumps(row | {"symbol": "KO", "text": " ".join(row["text"])}) for row in rows]
            elif member.name == "price/raw/KO.csv":
                prices = [json.dumps(row | {"symbol": "KO"}) for row in csv.DictReader(io.StringIO(text))]
    (tmp_path / "news.jsonl").write_text("\n".join(news))
    (tmp_path / "prices.jsonl").write_text("\n".join(prices))
    plan = plan_forecasts("symbol", "created_at=Date", "Adj Close", close="16:00", zone="America/New_York")
    sources = [SourceConfig(path=str(tmp_path / name)) for name in ("news.jsonl", "prices.jsonl")]
    made = make_forecasts(*sources, tmp_path / "forecasts.jsonl", plan, silent)
    assert made.news == len(news) == made.shown + sum(made.left_out.values())
    assert made.rows > 90
    for line in made.output.read_text().splitlines():
        row = json.loads(line)
        assert row["known_time"] < row["asked_at"] < row["label_time"]
        assert row["label"].startswith("up" if row["label_change"] >= 0 else "down")
        assert len(stated_moves(row["prompt"])) == 3
