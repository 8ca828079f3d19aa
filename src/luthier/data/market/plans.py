"""How news and prices are joined, how forecasts are made of them, and how people say it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from luthier.config.times import seconds
from luthier.data.market.asof import Clock
from luthier.data.market.moves import NextMove
from luthier.errors import ConfigError


@dataclass(frozen=True)
class JoinPlan:
    """How news and prices are joined.

    Attributes:
        by, price_by: column of the symbol in the news and in the prices.
        time, price_time: column of the time likewise.
        clock, price_clock: how these times are read.
        strictly: whether a price of the very moment of the news is too late.
        tolerance: seconds that a price may be old; None = as old as it is.
        take: columns of the prices to take; None = all.
        move: the label to build, None = none.
    """

    by: str
    price_by: str
    time: str
    price_time: str
    clock: Clock
    price_clock: Clock
    strictly: bool = True
    tolerance: float | None = None
    take: tuple[str, ...] | None = None
    move: NextMove | None = None


@dataclass(frozen=True)
class ForecastPlan:
    """How forecasts are made.

    Attributes:
        join: columns of symbol and time, and how times are read. Weeks begin on Mondays at midnight of its zone.
        price: the column of the prices whose moves are told and forecast.
        text: the column of the news that is shown.
        weeks: how many weeks before the forecast one is told.
        most: pieces of news shown of each week, spread over it.
    """

    join: JoinPlan
    price: str
    text: str = "text"
    weeks: int = 3
    most: int = 3


def plan_join(
    by: str,
    at_time: str,
    *,
    tolerance: str | None = None,
    at: bool = False,
    close: str | None = None,
    zone: str = "UTC",
    take: str | None = None,
    move: str | None = None,
    horizon: str = "1",
    flat: float = 0.0,
) -> JoinPlan:
    """A plan from words, as the command line has them; see `JoinPlan`, `Clock` and `NextMove`.

    Args:
        by: column of the symbol; NEWS=PRICES when they differ.
        at_time: column of the time, likewise.
        tolerance: such as 5d.
        at: the opposite of strictly.
        close: the price clock's whole day, such as 16:00; None = the day's end.
        zone: of both clocks.
        take: with commas between them.
        move: the column of the move.
        horizon: so many prices, or a duration.
        flat: of the move.

    Raises:
        ConfigError: a word is not understood.
    """
    place = _zone(zone)
    news_by, _, prices_by = by.partition("=")
    news_time, _, prices_time = at_time.partition("=")
    steps = int(horizon) if horizon.isdigit() else _duration(horizon, "--horizon")
    if not steps:
        raise ConfigError("a move over no time is none", where="--horizon", expected="1, 5, 1d, ...")
    return JoinPlan(
        by=news_by,
        price_by=prices_by or news_by,
        time=news_time,
        price_time=prices_time or news_time,
        clock=Clock(place),
        price_clock=Clock(place, None if close is None else _time_of_day(close)),
        strictly=not at,
        tolerance=None if tolerance is None else _duration(tolerance, "--tolerance"),
        take=None if take is None else tuple(name.strip() for name in take.split(",")),
        move=None if move is None else NextMove(move, steps, flat),
    )


def plan_forecasts(
    by: str,
    at_time: str,
    price: str,
    *,
    text: str = "text",
    weeks: int = 3,
    most: int = 3,
    close: str | None = None,
    zone: str = "UTC",
) -> ForecastPlan:
    """A plan from words, as the command line has them; see `ForecastPlan` and `plan_join`.

    News that are dated by their day alone, or stamped with midnight, count as told when that day is over: nobody knows
    how early they were known.

    Raises:
        ConfigError: a word is not understood.
    """
    join = replace(plan_join(by, at_time, close=close, zone=zone), take=(price,))
    clock = replace(join.clock, day=None, midnights=True)
    return ForecastPlan(replace(join, clock=clock), price, text, weeks, most)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"there is no time zone '{name}'", where="--zone", expected="UTC, America/New_York, Asia/Shanghai, ..."
        ) from None


def _time_of_day(text: str) -> datetime.time:
    try:
        return datetime.time.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"'{text}' is no time of day", where="--close", expected="such as 16:00") from None


def _duration(text: str, where: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise ConfigError(str(error), where=where) from None
