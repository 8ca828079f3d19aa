from collections.abc import Iterable
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.examples import BadRow, Row, UnreadableRow
from luthier.data.market.asof import Clock, Prices, Series
from luthier.data.market.moves import NextMove

NEW_YORK = Clock(ZoneInfo("America/New_York"), time(16))
NOW = datetime(2016, 1, 1, tzinfo=UTC).timestamp()


def prices(rows: Iterable[tuple[str, object, object]], clock: Clock = NEW_YORK) -> Prices:
    made = [
        Row({"symbol": symbol, "date": day, "close": close}, "prices.csv", line)
        for line, (symbol, day, close) in enumerate(rows, start=2)
    ]
    return Prices.read(made, "symbol", "date", clock, NOW)


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


WEEK = [("A", "2015-10-02", 11.0), ("B", "2015-10-01", 50), ("A", "2015-10-01", 10.0), ("A", "2015-10-05", 11.0)]


@pytest.mark.parametrize(
    ("news", "place"),
    [
        ("2015-10-02T19:59:59Z", "prices.csv:4"),
        ("2015-10-02T20:00:00Z", "prices.csv:4"),
        ("2015-10-02T20:00:01Z", "prices.csv:2"),
        ("2015-10-04T12:00:00Z", "prices.csv:2"),
        ("2020-01-01T00:00:00Z", "prices.csv:5"),
    ],
)
def test_the_last_close_before_the_news(news: str, place: str) -> None:
    series = prices(WEEK).series["A"]
    assert series.places[series.before(moment(news))] == place


def test_at_the_close_counts_only_when_asked() -> None:
    series = prices(WEEK).series["A"]
    close = moment("2015-10-02T20:00:00Z")
    assert series.values(series.before(close, strictly=False)) == {"close": 11.0}
    assert series.values(series.before(close)) == {"close": 10.0}
    assert series.before(moment("2015-10-01T19:00:00Z")) == -1


def test_the_close_follows_the_zone_through_the_year() -> None:
    series = prices([("A", "2015-01-05", 1), ("A", "2015-07-06", 1)]).series["A"]
    assert series.times.tolist() == [moment("2015-01-05T21:00Z"), moment("2015-07-06T20:00Z")]


@pytest.mark.parametrize(
    "stamps",
    [
        ("2015-10-01 00:00:00-04:00", "2015-10-02 00:00:00-04:00"),
        ("2015-10-01T00:00:00Z", "2015-10-02T00:00:00Z"),
        ("2015-10-01T04:00:00Z", "2015-10-02T04:00:00Z"),
        ("2015-10-01 00:00", "2015-10-02 00:00"),
        (datetime(2015, 10, 1), datetime(2015, 10, 2)),
        (1443657600000, 1443744000000),
        ("2015-10-01", "2015-10-02 00:00:00"),
    ],
)
def test_a_price_stamped_with_midnight_is_known_at_the_close_of_its_day(stamps: tuple[object, object]) -> None:
    found = prices([("A", stamps[0], 100), ("A", stamps[1], 110)])
    series = found.series["A"]
    assert series.times.tolist() == [moment("2015-10-01T20:00Z"), moment("2015-10-02T20:00Z")]
    assert series.values(series.before(moment("2015-10-02T14:00Z"))) == {"close": 100}
    assert found.midnights == sum(str(stamp) != "2015-10-01" for stamp in stamps)


def test_midnight_among_other_moments_is_one() -> None:
    hours = [f"2015-10-02T{hour:02}:00Z" for hour in range(24)]
    found = prices([("A", hour, 1) for hour in hours] + [("B", hours[0], 1)], Clock(UTC, None))
    assert found.series["A"].times.tolist() == [moment(hour) for hour in hours]
    assert found.series["B"].times.tolist() == [moment("2015-10-03T00:00Z")]
    assert found.midnights == 1


def test_a_day_that_is_not_over_is_the_future() -> None:
    assert prices([("A", "2015-12-31T23:00Z", 1), ("B", "2016-01-01 00:00Z", 1)], Clock(UTC, None)).refused == [
        "prices.csv:3 a price from the future: 2016-01-02T00:00:00Z"
    ]


def test_without_a_close_a_day_s_price_is_known_when_the_day_is_over() -> None:
    series = prices(WEEK, Clock(UTC, None)).series["A"]
    assert series.places[series.before(moment("2015-10-02T23:59Z"))] == "prices.csv:4"
    assert series.places[series.before(moment("2015-10-03T00:01Z"))] == "prices.csv:2"


def test_what_cannot_be_a_price_is_refused_by_name() -> None:
    rows = [
        Row({"symbol": "A", "date": "2015-10-01", "close": 10}, "prices.csv", 2),
        Row({"symbol": "A", "date": "2099-10-01", "close": 99}, "prices.csv", 3),
        Row({"symbol": "A", "date": "2015-10-01", "close": 12}, "prices.csv", 4),
        Row({"symbol": "", "date": "2015-10-02", "close": 12}, "prices.csv", 5),
        Row({"symbol": "A", "date": "soon", "close": 12}, "prices.csv", 6),
        BadRow("prices.csv", 7, "three fields, not four"),
        Row({"symbol": "A", "date": "2015-10-02", "name": "\ud83d"}, "prices.csv", 8),
    ]
    found = Prices.read(rows, "symbol", "date", NEW_YORK, NOW)
    assert found.rows == 7
    assert sorted(found.refused) == [
        "prices.csv:3 a price from the future: 2099-10-01T20:00:00Z",
        "prices.csv:4 a second price of A at 2015-10-01T20:00:00Z",
        "prices.csv:5 no symbol in column 'symbol'",
        "prices.csv:6 column 'date' is 'soon', expected ISO 8601 or a number",
        "prices.csv:7 three fields, not four",
        "prices.csv:8 column 'name' has bytes that are no text",
    ]
    assert len(found.series["A"].times) == 1


@pytest.mark.parametrize("count", [1, 1000, 10**6, 10**9])
def test_milliseconds_are_told_from_seconds(count: int) -> None:
    row = Row({"at": int(moment("2015-10-01T14:00Z")) * count}, "news.jsonl", 1)
    assert Clock().read(row, "at") == moment("2015-10-01T14:00Z")


def test_numbers_as_days() -> None:
    series = prices([("A", 20151001, 1), ("A", "20151002", 1)]).series["A"]
    assert series.times.tolist() == [moment("2015-10-01T20:00Z"), moment("2015-10-02T20:00Z")]
    assert prices([("A", 2015, 1), ("A", 20151399, 1)]).refused == [
        "prices.csv:2 column 'date' is the number 2015, which names no date",
        "prices.csv:3 column 'date' is the number 20151399, expected ISO 8601 or a number",
    ]


@given(st.lists(st.integers(0, 50), min_size=1, unique=True), st.integers(-5, 55))
def test_never_a_price_that_was_not_known(times: list[int], asked: int) -> None:
    ordered = np.array(sorted(times), np.float64)
    series = Series(ordered, [""] * len(ordered), [b"{}"] * len(ordered))
    for strictly in (True, False):
        earlier = [time for time in times if time < asked or (time == asked and not strictly)]
        number = series.before(float(asked), strictly=strictly)
        assert (None if number < 0 else ordered[number]) == (max(earlier) if earlier else None)


CLOSES = [("A", f"2015-10-{day:02}", close) for day, close in ((1, 100), (2, 110), (5, "99.0"), (6, 99.0), (7, 99.4))]


@pytest.mark.parametrize(
    ("move", "news", "label", "change", "known"),
    [
        (NextMove("close"), "2015-10-02T10:00Z", "up", 0.1, "2015-10-02T20:00Z"),
        (NextMove("close"), "2015-10-03T10:00Z", "down", -0.1, "2015-10-05T20:00Z"),
        (NextMove("close"), "2015-10-05T21:00Z", "flat", 0.0, "2015-10-06T20:00Z"),
        (NextMove("close", flat=0.005), "2015-10-06T21:00Z", "flat", 0.00404, "2015-10-07T20:00Z"),
        (NextMove("close", 2), "2015-10-02T10:00Z", "down", -0.01, "2015-10-05T20:00Z"),
        (NextMove("close", 2 * 86_400.0), "2015-10-02T21:00Z", "down", -0.1, "2015-10-05T20:00Z"),
    ],
)
def test_the_next_move_and_when_it_became_known(
    move: NextMove, news: str, label: str, change: float, known: str
) -> None:
    series = prices(CLOSES).series["A"]
    found = move.after(series, series.before(moment(news)), moment(news))
    assert found is not None
    assert (found.label, found.known) == (label, moment(known))
    assert found.change == pytest.approx(change, abs=1e-5)
    assert found.known >= moment(news), "a label is never known before the news"


def test_a_move_that_is_not_over_has_no_label() -> None:
    series = prices(CLOSES).series["A"]
    assert NextMove("close", 5).after(series, 0, 0.0) is None
    assert NextMove("close", 86_400.0).after(series, 4, moment("2015-10-07T21:00Z")) is None


@pytest.mark.parametrize("close", ["-", None, 0, -1.0, "inf", [1]])
def test_a_price_that_is_no_number_is_named(close: object) -> None:
    series = prices([*CLOSES[:1], ("A", "2015-10-02", close)]).series["A"]
    with pytest.raises(UnreadableRow, match=r"prices\.csv:3: the price in 'close' is"):
        NextMove("close").after(series, 0, 0.0)
