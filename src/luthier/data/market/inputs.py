"""News and prices as a plan reads them."""

from __future__ import annotations

import time

from luthier.config import SourceConfig
from luthier.data.examples import BadRow, Row, UnreadableRow
from luthier.data.market.account import FIRST, LeftOut
from luthier.data.market.asof import Prices, Series, whole
from luthier.data.market.plans import JoinPlan
from luthier.data.reading.sources import read_rows
from luthier.errors import DataError
from luthier.progress import Report


def read_prices(prices: SourceConfig, plan: JoinPlan, progress: Report, now: float | None = None) -> Prices:
    """All prices that can be used, by symbol and time.

    Args:
        prices: the rows.
        plan: which columns they have, and how their times are read.
        progress: told how far it is.
        now: prices from after this moment are refused; None = the present.

    Raises:
        DataError: there is nothing to read, no price can be used, or the columns that are asked for are not there.
    """
    progress("reading prices", 0, None)
    table = Prices.read(
        read_rows(prices), plan.price_by, plan.price_time, plan.price_clock, time.time() if now is None else now
    )
    _check(table, plan, prices.path)
    progress("reading prices", table.rows, table.rows)
    return table


def _check(prices: Prices, plan: JoinPlan, path: str) -> None:
    """Whether the prices have the columns that are asked for, and one of them can be used."""
    wanted = [plan.price_by, plan.price_time, *(plan.take or ()), *([plan.move.column] if plan.move else ())]
    if prices.columns and (missing := [name for name in wanted if name not in prices.columns]):
        raise DataError(
            f"the prices have no column '{missing[0]}'",
            where=path,
            expected=f"one of {', '.join(prices.columns)}",
            hint="--by and --time take NEWS=PRICES where the columns have different names",
        )
    if not prices.series:
        first = "\n".join(f"- {line}" for line in prices.refused[:FIRST])
        raise DataError(f"none of {prices.rows} prices can be used. The first:\n{first}", where=path)


def readable(row: Row | BadRow) -> Row:
    """A row that could be read, and can be written.

    Raises:
        LeftOut: it could not, or cannot.
    """
    try:
        return whole(row)
    except UnreadableRow as error:
        raise LeftOut("unreadable", str(error)) from None


def told_of(row: Row, prices: Prices, plan: JoinPlan) -> tuple[str, float, Series]:
    """Whose news a row is, when it was told, and the prices of that symbol.

    Raises:
        LeftOut: one of these is not there.
    """
    try:
        moment = plan.clock.read(row, plan.time)
    except UnreadableRow as error:
        raise LeftOut("unreadable", str(error)) from None
    symbol = str(row.values.get(plan.by) or "").strip()
    if not symbol:
        raise LeftOut("unreadable", f"no symbol in column '{plan.by}'")
    series = prices.series.get(symbol)
    if series is None:
        raise LeftOut("no price of its symbol", f"no price of {symbol}")
    return symbol, moment, series
