"""News joined to the prices that were known when they were told, streamed to a file; what is left out says why."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from luthier.config import SourceConfig
from luthier.data.asof import Prices, Series
from luthier.data.examples import Row, UnreadableRow
from luthier.data.join_plan import JoinPlan
from luthier.data.moves import Move
from luthier.data.sources import BadRow, read_rows
from luthier.data.times import written
from luthier.errors import DataError
from luthier.runs.files import replacing

Progress = Callable[[str, int, int | None], None]

LEFT_OUT = ".left-out.jsonl"
"""Behind the output's name: the file of what was left out."""

_FIRST = 10
_TELL = 1000


@dataclass
class Joined:
    """What a join did.

    Attributes:
        output: the joined rows, a line of JSON each.
        left_out_file: the rows that were left out, each with its place and the reason.
        news: rows of the news.
        joined: how many have a price.
        left_out: kind -> rows of the news without one.
        first_left_out: the first ten of them.
        refused_future: rows of the news for which a price lay nearer in their future; it was not used.
        first_refused: the first ten of them, each with the price by name.
        prices: rows of the prices.
        refused_prices: those that are not used at all.
        first_refused_prices: the first ten of them.
        labels: label -> rows.
    """

    output: Path
    left_out_file: Path
    news: int = 0
    joined: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    first_left_out: list[str] = field(default_factory=list)
    refused_future: int = 0
    first_refused: list[str] = field(default_factory=list)
    prices: int = 0
    refused_prices: int = 0
    first_refused_prices: list[str] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {"left_out": dict(self.left_out.most_common()), "labels": dict(self.labels.most_common())}


class LeftOut(Exception):
    """News that are left out: what kind of case it is, and the whole reason."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        super().__init__(reason)


def join(
    news: SourceConfig, prices: SourceConfig, output: Path, plan: JoinPlan, progress: Progress, now: float | None = None
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
        DataError: there is nothing to read, no price can be used, or the news have a column that would be written over.
    """
    table = read_prices(prices, plan, progress, now)
    made = Joined(output, output.with_name(output.name + LEFT_OUT), prices=table.rows)
    made.refused_prices, made.first_refused_prices = len(table.refused), table.refused[:_FIRST]
    with ExitStack() as stack:
        rows, left_out = (
            stack.enter_context(stack.enter_context(replacing(path)).open("w", encoding="utf-8"))
            for path in (made.output, made.left_out_file)
        )
        for row in read_rows(news):
            made.news += 1
            try:
                rows.write(json_line(_match(row, table, plan, made)))
                made.joined += 1
            except LeftOut as error:
                _leave_out(row, error, made)
                left_out.write(json_line({"file": row.file, "line": row.line, "reason": str(error)}))
            if made.news % _TELL == 0:
                progress("joining", made.news, None)
        if not made.joined:
            raise DataError(
                f"none of {made.news} rows of news has a price. The first:\n{_listed(made.first_left_out)}",
                where=news.path,
            )
    progress("joining", made.news, made.news)
    return made


def read_prices(prices: SourceConfig, plan: JoinPlan, progress: Progress, now: float | None = None) -> Prices:
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
    _check_prices(table, plan, prices.path)
    progress("reading prices", table.rows, table.rows)
    return table


def json_line(values: Mapping[str, Any]) -> str:
    """A row as a line of JSON."""
    return json.dumps(values, ensure_ascii=False, default=str) + "\n"


def _leave_out(row: Row | BadRow, error: LeftOut, made: Joined) -> None:
    made.left_out[error.kind] += 1
    if len(made.first_left_out) < _FIRST:
        made.first_left_out.append(f"{row.file}:{row.line} {error}")


def _check_prices(prices: Prices, plan: JoinPlan, path: str) -> None:
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
        raise DataError(
            f"none of {prices.rows} prices can be used. The first:\n{_listed(prices.refused[:_FIRST])}", where=path
        )


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def readable(row: Row | BadRow) -> Row:
    """A row that could be read.

    Raises:
        LeftOut: it could not.
    """
    if isinstance(row, BadRow):
        raise LeftOut("unreadable", row.reason)
    return row


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


def _match(row: Row | BadRow, prices: Prices, plan: JoinPlan, made: Joined) -> dict[str, Any]:
    """A row of the news with the last price before it, and its label."""
    row = readable(row)
    symbol, moment, series = told_of(row, prices, plan)
    number = _last(row, symbol, series, moment, plan, made)
    try:
        move = plan.move.after(series, number, moment) if plan.move else None
    except UnreadableRow as error:
        raise LeftOut("unreadable", str(error)) from None
    if plan.move and move is None:
        raise LeftOut("the move is not over", f"the move after {series.named(number)} is not over: no price so late")
    values = {f"price_{name}": value for name, value in series.values(number).items() if _taken(name, plan)}
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
        if len(made.first_refused) < _FIRST:
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
