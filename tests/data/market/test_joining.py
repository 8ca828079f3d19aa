import json
from pathlib import Path
from typing import Any

import pytest

from luthier.config import RunConfig, SourceConfig
from luthier.data.intake import iterate_examples
from luthier.data.market.joining import Joined, join
from luthier.data.market.plans import plan_join
from luthier.errors import ConfigError, DataError
from luthier.progress import silent

PRICES = "symbol,date,close,volume\nA,2015-10-01,100,7\nA,2015-10-02,110,8\nA,2015-10-05,99,9\nB,2015-10-01,5,1\n"
NEWS = [
    {"symbol": "A", "at": "2015-10-02T14:00Z", "text": "before the close"},
    {"symbol": "A", "at": "2015-10-02T21:00Z", "text": "after the close"},
    {"symbol": "A", "at": "2015-10-01T08:00Z", "text": "before every price"},
    {"symbol": "C", "at": "2015-10-02T21:00Z", "text": "of an unknown company"},
    {"symbol": "A", "at": "now", "text": "at no time"},
    {"symbol": "A", "at": "2015-10-30T21:00Z", "text": "much later"},
]


@pytest.fixture
def joined(tmp_path: Path) -> Any:
    def run(
        news: list[dict[str, Any]] = NEWS, prices: str = PRICES, **words: Any
    ) -> tuple[Joined, list[Any], list[Any]]:
        (tmp_path / "news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in news))
        (tmp_path / "prices.csv").write_text(prices)
        plan = plan_join("symbol", "at=date", **({"close": "16:00", "zone": "America/New_York"} | words))
        sources = [SourceConfig(path=str(tmp_path / name)) for name in ("news.jsonl", "prices.csv")]
        made = join(*sources, tmp_path / "joined.jsonl", plan, silent)
        read = [
            [json.loads(line) for line in path.read_text().splitlines()] for path in (made.output, made.left_out_file)
        ]
        return made, read[0], read[1]

    return run


def test_every_row_of_the_news_is_joined_or_left_out_with_its_reason(joined: Any, tmp_path: Path) -> None:
    made, rows, left_out = joined(tolerance="5d", take="close")
    assert [(row["text"], row["price_close"], row["price_time"]) for row in rows] == [
        ("before the close", "100", "2015-10-01T20:00:00Z"),
        ("after the close", "110", "2015-10-02T20:00:00Z"),
    ]
    assert "price_volume" not in rows[0]
    assert made.news == len(rows) + len(left_out) == 6
    prices = tmp_path / "prices.csv"
    assert {row["line"]: row["reason"] for row in left_out} == {
        3: f"no price of A before it; refused: {prices}:2 (2015-10-01T20:00:00Z) lies in the future of the news "
        "(2015-10-01T08:00:00Z)",
        4: "no price of C",
        5: "column 'at' is 'now', expected ISO 8601 or a number",
        6: f"the last price of A before it, {prices}:4 (2015-10-05T20:00:00Z), is too old",
    }
    assert made.left_out == {
        "no earlier price": 1,
        "no price of its symbol": 1,
        "unreadable": 1,
        "the last price is too old": 1,
    }


def test_labels_come_with_the_time_at_which_they_became_known(joined: Any) -> None:
    made, rows, left_out = joined(move="close", flat=0.02)
    assert [(row["label"], row["label_change"], row["label_time"]) for row in rows] == [
        ("up", 0.1, "2015-10-02T20:00:00Z"),
        ("down", -0.1, "2015-10-05T20:00:00Z"),
    ]
    assert made.labels == {"up": 1, "down": 1}
    assert "is not over: no price so late" in left_out[-1]["reason"]


def test_what_is_joined_is_read_as_labelled_rows_split_by_time(joined: Any, tmp_path: Path) -> None:
    joined(move="close")
    split = {"by": "time:told_at", "label_time": "label_time", "known_at": ["price_time"]}
    config = RunConfig.model_validate(
        {"model": {"base": "none"}, "data": {"train": str(tmp_path / "joined.jsonl"), "split": split}}
    )
    rows = list(iterate_examples(config))
    assert [row.example.classes for row in rows] == [("up",), ("down",)]
    assert all(row.known > row.key for row in rows)


@pytest.mark.parametrize(
    ("zone", "close", "told_at"),
    [("America/New_York", "16:00", "2015-10-02T22:00:00Z"), ("Asia/Shanghai", "15:00", "2015-10-02T10:00:00Z")],
)
def test_times_without_a_zone_mean_the_same_to_the_join_and_to_the_split(
    joined: Any, tmp_path: Path, zone: str, close: str, told_at: str
) -> None:
    news = [{"symbol": "A", "at": "2015-10-02 18:00", "text": "after the close"}]
    _, [row], _ = joined(news, zone=zone, close=close, move="close")
    assert (row["told_at"], row["price_close"]) == (told_at, "110")
    late = tmp_path / "late.jsonl"
    late.write_text(json.dumps(row) + "\n" + json.dumps(row | {"price_time": told_at.replace(":00Z", ":01Z")}) + "\n")
    split = {"by": "time:told_at", "known_at": ["price_time"]}
    config = RunConfig.model_validate({"model": {"base": "none"}, "data": {"train": str(late), "split": split}})
    right, wrong = iterate_examples(config)
    assert right.reason == ""
    assert wrong.reason.startswith("look-ahead: 'price_time'")


def test_a_price_of_the_very_moment(joined: Any) -> None:
    news = [{"symbol": "A", "at": "2015-10-02T20:00Z", "text": "at the close"}]
    assert joined(news)[1][0]["price_close"] == "100"
    assert joined(news, at=True)[1][0]["price_close"] == "110"


def test_news_dated_by_their_day_see_no_price_of_that_day(joined: Any) -> None:
    assert joined([{"symbol": "A", "at": "2015-10-02", "text": "some time that day"}])[1][0]["price_close"] == "100"


def test_prices_stamped_with_midnight_are_said_aloud(joined: Any) -> None:
    prices = "symbol,date,close\nA,2015-10-01 00:00:00-04:00,100\nA,2015-10-02 00:00:00-04:00,110\n"
    made, rows, _ = joined(NEWS[:1], prices)
    assert (rows[0]["price_close"], rows[0]["price_time"]) == ("100", "2015-10-01T20:00:00Z")
    assert made.notes == [
        "2 prices are stamped with midnight, which is taken for their day: each is known at 16:00 (America/New_York)"
    ]
    assert joined(NEWS[:1])[0].notes == []


def test_columns_that_are_there_already_are_not_written_over(joined: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the news have a column 'price_close' already"):
        joined([NEWS[0] | {"price_close": 1}])
    assert not (tmp_path / "joined.jsonl").exists()


def test_half_a_character_costs_its_row_only(joined: Any) -> None:
    news = [NEWS[0] | {"text": "\ud83d"}, NEWS[0] | {"user": {"name": ["\ud83d"]}}, NEWS[0] | {"\ud83d": 1}, NEWS[1]]
    _, rows, left_out = joined(news)
    assert [row["text"] for row in rows] == ["after the close"]
    assert [row["reason"] for row in left_out] == [
        "column 'text' has bytes that are no text",
        "column 'user' has bytes that are no text",
        "the name of a column has bytes that are no text",
    ]


def test_columns_that_are_not_there(joined: Any) -> None:
    with pytest.raises(DataError, match="the prices have no column 'open'"):
        joined(take="close,open")
    with pytest.raises(DataError, match="the prices have no column 'date'"):
        joined(prices="symbol,day,close\nA,2015-10-01,3\n")
    with pytest.raises(DataError, match="none of 1 prices can be used"):
        joined(prices="symbol,date,close\nA,soon,3\n")


def test_news_without_any_price_are_an_error(joined: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of 1 rows of news has a price") as caught:
        joined([{"ticker": "A", "at": "2015-10-02T14:00Z", "text": "no symbol"}])
    assert "no symbol in column 'symbol'" in caught.value.found
    assert not (tmp_path / "joined.jsonl").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"zone": "America/Newyork"}, "there is no time zone 'America/Newyork'"),
        ({"close": "4pm"}, "'4pm' is no time of day"),
        ({"tolerance": "soon"}, "'soon' is no duration"),
        ({"horizon": "0"}, "a move over no time"),
        ({"horizon": "next"}, "'next' is no duration"),
    ],
)
def test_words_that_are_not_understood(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_join("symbol", "at=date", **words)


@pytest.mark.real
def test_tweets_and_prices_of_one_company(shared_data: Path, tmp_path: Path) -> None:
    """Raw tweets and daily prices of one stock: nothing is joined to a price that was not known."""
    import csv
    import io
    import tarfile

    from luthier.data.times import in_seconds, read_time

    archive = shared_data / "stocknet" / "stocknet_price_tweets.tar.gz"
    tweets: list[dict[str, Any]] = []
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name.startswith("tweet/preprocessed/KO/") and member.isfile():
                lines = (tar.extractfile(member) or io.BytesIO()).read().decode().splitlines()
                tweets += [json.loads(line) | {"symbol": "KO"} for line in lines]
            elif member.name == "price/raw/KO.csv":
                table = list(csv.DictReader(io.StringIO((tar.extractfile(member) or io.BytesIO()).read().decode())))
    (tmp_path / "prices.jsonl").write_text("".join(json.dumps(row | {"symbol": "KO"}) + "\n" for row in table))
    (tmp_path / "news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tweets))
    plan = plan_join(
        "symbol", "created_at=Date", close="16:00", zone="America/New_York", move="Adj Close", tolerance="6d"
    )
    sources = [SourceConfig(path=str(tmp_path / name)) for name in ("news.jsonl", "prices.jsonl")]
    made = join(*sources, tmp_path / "joined.jsonl", plan, silent)
    assert made.news == len(tweets) == made.joined + sum(made.left_out.values())
    assert made.joined > 0.9 * made.news
    for line in made.output.read_text().splitlines():
        row = json.loads(line)
        told, price, label = (
            in_seconds(read_time(row[name], name)) for name in ("created_at", "price_time", "label_time")
        )
        assert price < told <= label
