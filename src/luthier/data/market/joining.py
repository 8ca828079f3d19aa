"""News joined to the prices that were known when they were told, streamed to a file; what is left out says why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.config import SourceConfig
from luthier.data.examples import BadRow, Row, UnreadableRow
from luthier.data.market.account import FIRST, Account, LeftOut, json_line
from luthier.data.market.asof import Prices, Series
from luthier.data.market.inputs import read_prices, readable, told_of
from luthier.data.market.moves import Move
from luthier.data.market.plans import JoinPlan
from luthier.data.reading.sources import read_rows
from luthier.data.row_files import refuse_what_is_read
from luthier.data.times import written
from luthier.errors import DataError
from luthier.progress import Report

_TELL = 1000


@dataclass
class Joined(Account):
    """What a join did.

    Attributes:
        joined: how many rows of the news have a price.
        refused_future: rows of the news for which a price lay nearer in their future; it was not used.
        first_refused: the first ten of them, each with the price by name.
    """

    joined: int = 0
    refused_future: int = 0
    first_refused: list[str] = field(default_factory=list)


def join(
    news: SourceConfig, prices: SourceConfig, output: Path, plan: JoinPlan, progress: Report, now: float | None = None
) -> Joined:
    """Joins the news to the prices and writes OUTPUT and OUTPUT.left-out.jsonl.

    Args:
        news: the rows to join to.
        prices: the rows that are looked up.
        output: a JSON Lines file.
        plan: how.
        progress: told how far it is.
        now: prices from after this moment are refused; None = the present.

    Raises:
        ConfigError: what is read would be written over.
        DataError: there is nothing to read, no price can be used, or the news have a column that would be written over.
    """
    made = Joined(output)
    refuse_what_is_read([output, made.left_out_file], [news, prices])
    table = read_prices(prices, plan, progress, now)
    made.count_prices(table, plan.price_clock)
    with made.files() as (rows, left_out):
        for row in read_rows(news):
            made.news += 1
            try:
                rows.write(json_line(_match(row, table, plan, made)))
                made.joined += 1
            except LeftOut as error:
                made.leave_out(row, error, left_out)
            if made.news % _TELL == 0:
                progress("joining", made.news, None)
        if not made.joined:
            first = "\n".join(f"- {line}" for line in made.first_left_out)
            raise DataError(f"none of {made.news} rows of news has a price. The first:\n{first}", where=news.path)
    progress("joining", made.news, made.news)
    return made


def _match(row: Row | BadRow, prices: Prices, plan: JoinPlan, made: Joined) -> dict[str, Any]:
    """A row of the news with the moment it was told, the last price before that, and its label."""
    row = readable(row)
    symbol, moment, series = told_of(row, prices, plan)
    number = _last(row, symbol, series, moment, plan, made)
    try:
        move = plan.move.after(series, number, moment) if plan.move else None
    except UnreadableRow as error:
        raise LeftOut("unreadable", str(error)) from None
    if plan.move and move is None:
        raise LeftOut("the move is not over", f"the move after {series.named(number)} is not over: no price so late")
    values: dict[str, Any] = {"told_at": written(moment)}
    values |= {f"price_{name}": value for name, value in series.values(number).items() if _taken(name, plan)}
    values["price_time"] = written(series.times[number])
    return _together(row, values | (_labelled(move, made) if move else {}))


def _taken(name: str, plan: JoinPlan) -> bool:
    return plan.take is None or name in plan.take


def _last(row: Row, symbol: str, series: Series, moment: float, plan: JoinPlan, made: Joined) -> int:
    """The last price before the news that is not too old; names the nearer one in its future that was refused."""
    number = series.before(moment, strictly=plan.strictly)
    later = number + 1
    age = moment - series.times[number] if number >= 0 else float("inf")
    ahead = series.times[later] - moment if later < len(series.times) else float("inf")
    refused = f"{series.named(later)} lies in the future of the news ({written(moment)})" if ahead < age else ""
    if refused and (plan.tolerance is None or ahead <= plan.tolerance):
        made.refused_future += 1
        if len(made.first_refused) < FIRST:
            made.first_refused.append(f"{row.file}:{row.line} {refused}")
    if number < 0:
        raise LeftOut("no earlier price", f"no price of {symbol} before it; refused: {refused}")
    if plan.tolerance is not None and age > plan.tolerance:
        reason = f"the last price of {symbol} before it, {series.named(number)}, is too old"
        raise LeftOut("the last price is too old", f"{reason}; refused: {refused}" if refused else reason)
    return number


def _labelled(move: Move, made: Joined) -> dict[str, Any]:
    made.labels[move.label] += 1
    return {"label": move.label, "label_change": round(move.change, 6), "label_time": written(move.known)}


def _together(row: Row, values: dict[str, Any]) -> dict[str, Any]:
    if both := [name for name in values if name in row.values]:
        raise DataError(
            f"the news have a column '{both[0]}' already, which the join would write over",
            where=f"{row.file}:{row.line}",
            hint="rename it",
        )
    return {**row.values, **values}
