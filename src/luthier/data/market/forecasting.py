"""Rows for a forecaster out of news and prices: a stock's last weeks as the prompt, what it did next as the answer.

    week 1: move, news | week 2: move, news | week 3: move, news || week 4: the move to forecast
                                                               asked

A row is asked on a Monday at midnight. Its prompt tells of prices and news from before that moment and of nothing else;
its answer was known when the last price of the week after was known. There is a row for every stock and week with news.

Every piece of news is shown in the row of its own week, or left out with the reason; those that are shown stand in the
prompts of the next weeks too. News stream and may come in any order, prices are held in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from luthier.config import SourceConfig
from luthier.data.examples import BadRow, Row, UnreadableRow
from luthier.data.formats import text_in
from luthier.data.market.account import Account, LeftOut, Placed, json_line
from luthier.data.market.asof import Prices, Series, whole
from luthier.data.market.forecasts import INTRODUCTION, Forecast, answer_of, move_sentence
from luthier.data.market.inputs import read_prices, readable, told_of
from luthier.data.market.moves import price_of
from luthier.data.market.plans import ForecastPlan
from luthier.data.market.shelf import News, Shelf, beginning, week_of
from luthier.data.reading.sources import read_rows
from luthier.data.row_files import refuse_what_is_read
from luthier.data.times import written
from luthier.errors import DataError
from luthier.progress import Report

_TELL = 1000


@dataclass
class Forecasts(Account):
    """What was made; `left_out` are the news that no row shows.

    Attributes:
        shown: how many of the news stand in the row of their week.
        rows: rows of the output.
    """

    shown: int = 0
    rows: int = 0


def make_forecasts(
    news: SourceConfig,
    prices: SourceConfig,
    output: Path,
    plan: ForecastPlan,
    progress: Report,
    companies: SourceConfig | None = None,
    now: float | None = None,
) -> Forecasts:
    """Writes OUTPUT, in the columns of FinGPT-Forecaster's rows and with the times of each, and OUTPUT.left-out.jsonl.

    Args:
        news: what was told, and of which stock.
        prices: the rows that moves are read off.
        output: a JSON Lines file.
        plan: how.
        progress: told how far it is.
        companies: what is known of each stock from the beginning: a row with its symbol and whatever else to tell.
        now: prices from after this moment are refused; None = the present.

    Raises:
        ConfigError: what is read would be written over.
        DataError: there is nothing to read, or no price can be used.
    """
    made = Forecasts(output)
    refuse_what_is_read([output, made.left_out_file], [news, prices, *([companies] if companies else [])])
    table = read_prices(prices, plan.join, progress, now)
    introductions = _introductions(companies, plan.join.by) if companies else {}
    made.count_prices(table, plan.join.price_clock)
    with made.files() as (rows, left_out), Shelf() as shelf:
        maker = _Maker(table, plan, introductions, made, rows, left_out)
        for row in read_rows(news):
            maker.shelve(row, shelf)
            if made.news % _TELL == 0:
                progress("reading news", made.news, None)
        for symbol, week, told in shelf.weeks():
            maker.write(symbol, week, told)
            if made.rows % _TELL == 0:
                progress("writing forecasts", made.rows, None)
    progress("writing forecasts", made.rows, made.rows)
    return made


def _introductions(companies: SourceConfig, by: str) -> dict[str, str]:
    """What prompts begin with, by symbol."""
    found = {}
    for row in read_rows(companies):
        try:
            values = whole(row).values
        except UnreadableRow as error:
            raise DataError(str(error), where=f"{row.file}:{row.line}") from None
        if values.get(by) in (None, ""):
            raise DataError(f"no symbol in column '{by}'", where=f"{row.file}:{row.line}")
        told = [f"{name}: {value}" for name, value in values.items() if value not in (None, "")]
        found[str(values[by]).strip()] = "\n".join([INTRODUCTION, "", *told])
    return found


@dataclass
class _Maker:
    """Turns weeks of news into rows.

    Attributes:
        table: the prices.
        plan: how.
        introductions: what prompts begin with, by symbol.
        made: counts what becomes of everything.
        rows, left_out: the files.
        shown: (symbol, week) -> news that prompts show of it, as far back as they go.
    """

    table: Prices
    plan: ForecastPlan
    introductions: Mapping[str, str]
    made: Forecasts
    rows: IO[str]
    left_out: IO[str]
    shown: dict[tuple[str, int], list[News]] = field(default_factory=dict)

    def shelve(self, row: Row | BadRow, shelf: Shelf) -> None:
        """Puts a row of the news under its symbol and week."""
        self.made.news += 1
        try:
            news = readable(row)
            symbol, moment, _ = told_of(news, self.table, self.plan.join)
            text = _text_of(news, self.plan.text)
        except LeftOut as error:
            self._leave_out([row], error)
            return
        shelf.put(symbol, week_of(moment, self.zone), News(moment, text, row.file, row.line))

    def write(self, symbol: str, week: int, told: Sequence[News]) -> None:
        """The row that is asked behind a week with news."""
        oldest = (symbol, week - 7 * self.plan.weeks)
        self.shown = {key: pieces for key, pieces in self.shown.items() if key >= oldest}
        pieces, others = _chosen(told, self.plan.most)
        self.shown[symbol, week] = pieces
        for piece, why in others:
            self._leave_out([piece], why)
        try:
            row = self._row(symbol, week)
        except LeftOut as error:
            self._leave_out(pieces, error)
            return
        self.rows.write(json_line(row))
        self.made.rows += 1
        self.made.shown += len(pieces)
        self.made.labels[row["label"]] += 1

    @property
    def zone(self) -> tzinfo:
        """Where weeks begin."""
        return self.plan.join.clock.zone

    def _row(self, symbol: str, week: int) -> dict[str, Any]:
        back = self.plan.weeks
        days = [date.fromordinal(week + 7 * number) for number in range(1 - back, 3)]
        closes, prices = self._closes(symbol, days)
        changes = [later / earlier - 1 for earlier, later in pairwise(prices)]
        told = [self.shown.get((symbol, week + 7 * number), []) for number in range(1 - back, 1)]
        forecast = Forecast.of(changes[-1])
        return {
            "symbol": symbol,
            "period": f"{days[-2]} to {days[-1]}",
            "prompt": _prompt(symbol, days, changes[:-1], told, self.introductions.get(symbol)),
            "answer": answer_of(forecast),
            "label": forecast.words,
            "label_change": round(changes[-1], 6),
            "label_time": written(closes[-1]),
            "asked_at": written(beginning(days[-2], self.zone)),
            "known_time": written(max([closes[-2], *(piece.time for pieces in told for piece in pieces)])),
        }

    def _closes(self, symbol: str, days: Sequence[date]) -> tuple[list[float], list[float]]:
        """When the last price before each day was known, and what it was.

        Raises:
            LeftOut: it was not known in the week before that day, or the last week is not over.
        """
        series = self.table.series[symbol]
        if series.times[-1] < beginning(days[-1], self.zone):
            reason = f"the week from {days[-2]} on is not over: no price of {symbol} from {days[-1]} on"
            raise LeftOut("the week after is not over", reason)
        numbers = [self._close(symbol, series, day) for day in days]
        try:
            prices = [price_of(series, number, self.plan.price) for number in numbers]
        except UnreadableRow as error:
            raise LeftOut("a price that is none", str(error)) from None
        return [float(series.times[number]) for number in numbers], prices

    def _close(self, symbol: str, series: Series, day: date) -> int:
        number = series.before(beginning(day, self.zone))
        before = date.fromordinal(day.toordinal() - 7)
        if number < 0 or series.times[number] < beginning(before, self.zone):
            raise LeftOut("a week without a price", f"no price of {symbol} in the week from {before} on")
        return number

    def _leave_out(self, places: Iterable[Placed], why: LeftOut) -> None:
        for place in places:
            self.made.leave_out(place, why, self.left_out)


def _text_of(row: Row, column: str) -> str:
    """What a row of the news says, on one line."""
    try:
        return " ".join(text_in(row.values.get(column), f"column '{column}'").split())
    except UnreadableRow as error:
        raise LeftOut("unreadable", str(error)) from None


def _chosen(week: Sequence[News], most: int) -> tuple[list[News], list[tuple[News, LeftOut]]]:
    """Some news of a week that say different things, spread over it; and the others, each with the reason."""
    first: dict[str, News] = {}
    others: list[tuple[News, LeftOut]] = []
    for piece in week:
        same = first.setdefault(piece.text.casefold(), piece)
        if same is not piece:
            reason = f"says the same as {same.file}:{same.line}"
            others.append((piece, LeftOut("the same as another of its week", reason)))
    different, count = list(first.values()), len(first)
    places = range(count) if count <= most else [(2 * turn + 1) * count // (2 * most) for turn in range(most)]
    kind = f"more than {most} in its week"
    others += [(piece, LeftOut(kind, kind)) for place, piece in enumerate(different) if place not in places]
    return [different[place] for place in places], others


def _prompt(
    symbol: str,
    days: Sequence[date],
    changes: Sequence[float],
    told: Sequence[Sequence[News]],
    introduction: str | None,
) -> str:
    """Company, week after week, and what is asked.

    Args:
        symbol: the stock.
        days: the Mondays at which the weeks begin, the one to forecast and its end among them.
        changes: of the price, one a week.
        told: the news, likewise.
        introduction: what is known from the beginning.
    """
    parts = [introduction] if introduction else []
    for first, last, change, pieces in zip(days, days[1:], changes, told, strict=False):
        news = "\n".join(["News of this week:", *(f"- {piece.text}" for piece in pieces)]) if pieces else "No news."
        parts.append(f"{move_sentence(str(first), str(last), symbol, change)} {news}")
    asked = f"Forecast the move of {symbol}'s stock price in the next week, from {days[-2]} to {days[-1]}."
    return "\n\n".join([*parts, asked])
