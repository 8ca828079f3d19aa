"""How forecasts are made of news and prices, and how people say it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from luthier.data.join_plan import JoinPlan, plan_join


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

    News that are dated by their day alone count as told when that day is over: nobody knows how early they were known.

    Raises:
        ConfigError: a word is not understood.
    """
    join = replace(plan_join(by, at_time, close=close, zone=zone), take=(price,))
    return ForecastPlan(replace(join, clock=replace(join.clock, day=None)), price, text, weeks, most)
