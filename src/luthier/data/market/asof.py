"""Prices as they were known at a moment: the last one before it, never one after it.

An as-of join has one way to go wrong, and it flatters every result: a price that was not known yet. So a price that is
dated by its day alone counts as known at the market's close (or at the day's end), news dated by their day alone as
told at the day's beginning, and the last price strictly before the news is taken. Of a price that lies nearer but after
the news, the join says which one it was and that it was refused.

Tables with a column of time stamps write midnight where they mean the day: daily prices stamped so would be known
before the market opens. Where most prices of a symbol are dated by days or midnights, its midnights are days.

Rows of news may come in any order and stream; prices are held in memory, sorted by symbol and time, values packed.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.data.examples import BadRow, Row, UnreadableRow
from luthier.data.formats import check_inside
from luthier.data.times import in_seconds, read_time, written


@dataclass(frozen=True)
class Clock:
    """How times are read.

    Attributes:
        zone: where they were written, when they do not say so themselves.
        day: the time of day that is meant by a whole day; None = its end.
        midnights: whether a moment at midnight means its whole day.
    """

    zone: tzinfo = UTC
    day: time | None = time()
    midnights: bool = False

    def read(self, row: Row, column: str) -> float:
        """Seconds since 1970.

        Raises:
            UnreadableRow: there is no time in that column, or a number that names no date.
        """
        found = self.time_in(row, column)
        day = self.whole_day(found) if self.midnights else None
        return self.seconds(found if day is None else day)

    def time_in(self, row: Row, column: str) -> datetime | date:
        """A moment or a whole day.

        Raises:
            UnreadableRow: there is no time in that column, or a number that names no date.
        """
        if row.values.get(column) in (None, ""):
            raise UnreadableRow(f"no time in column '{column}'")
        found = read_time(row.values[column], column)
        if isinstance(found, float):
            raise UnreadableRow(f"column '{column}' is the number {found:g}, which names no date")
        return found

    def seconds(self, found: datetime | date) -> float:
        """Seconds since 1970."""
        return in_seconds(found, self.zone, self.day)

    def whole_day(self, found: datetime | date) -> date | None:
        """The day of a time without a time of day, or at midnight, as it is written or in the zone; None of others."""
        if not isinstance(found, datetime):
            return found
        moments = (found, found.astimezone(self.zone)) if found.tzinfo else (found,)
        return next((each.date() for each in moments if each.time() == time()), None)

    def __str__(self) -> str:
        """When what is dated by its day is known."""
        return f"{'when it is over' if self.day is None else f'at {self.day:%H:%M}'} ({self.zone})"


@dataclass(frozen=True)
class Series:
    """The prices of one symbol.

    Attributes:
        times: float64, when each was known, ascending, none twice.
        places: where each stands, as `file:line`.
        packed: the values of each, as JSON.
    """

    times: NDArray[np.float64]
    places: Sequence[str]
    packed: Sequence[bytes]

    def before(self, moment: float, *, strictly: bool = True) -> int:
        """The last price before a moment (or at it, when not strictly); -1 when there is none."""
        return int(np.searchsorted(self.times, moment, "left" if strictly else "right")) - 1

    def values(self, number: int) -> dict[str, Any]:
        """The values of a price."""
        values: dict[str, Any] = json.loads(self.packed[number])
        return values

    def named(self, number: int) -> str:
        """A price by name: where it stands, and when it was known."""
        return f"{self.places[number]} ({written(self.times[number])})"


@dataclass
class Prices:
    """All prices by symbol, and the rows that were refused.

    Attributes:
        series: by symbol.
        rows: rows read.
        columns: of the first row.
        midnights: those at midnight that are dated by their day.
        refused: rows that are not used, as `file:line reason`.
    """

    series: dict[str, Series] = field(default_factory=dict)
    rows: int = 0
    columns: list[str] = field(default_factory=list)
    midnights: int = 0
    refused: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, rows: Iterable[Row | BadRow], by: str, column: str, clock: Clock, now: float) -> Prices:
        """Reads and sorts them.

        Args:
            rows: the table.
            by: the column of the symbol.
            column: the column of the time.
            clock: how it is read; a whole day means the moment when its price was known.
            now: a price from after this moment is refused: it cannot have happened.
        """
        prices = cls()
        gathered: dict[str, _Gathered] = {}
        for row in rows:
            prices.rows += 1
            if isinstance(row, Row) and not prices.columns:
                prices.columns = [str(name) for name in row.values]
            place = f"{row.file}:{row.line}"
            try:
                price = whole(row)
                symbol, found = _symbol(price, by), clock.time_in(price, column)
            except UnreadableRow as error:
                prices.refused.append(f"{place} {error}")
                continue
            day = clock.whole_day(found)
            of_symbol = gathered.setdefault(symbol, _Gathered())
            of_symbol.moments.append(clock.seconds(found))
            of_symbol.days.append(math.nan if day is None else clock.seconds(day))
            of_symbol.places.append(place)
            of_symbol.packed.append(_pack(price, (by, column)))
        for symbol, rows_of in gathered.items():
            prices._add(symbol, rows_of, now)
        return prices

    def _add(self, symbol: str, rows: _Gathered, now: float) -> None:
        """Adds a symbol, in order of time; of two prices at one time the first one that was read stays."""
        times, places = self._known(rows), rows.places
        order = np.argsort(times, kind="stable")
        ahead = times[order] > now
        again = np.diff(times[order], prepend=-np.inf) == 0
        for number in order[ahead].tolist():
            self.refused.append(f"{places[number]} a price from the future: {written(times[number])}")
        for number in order[again & ~ahead].tolist():
            self.refused.append(f"{places[number]} a second price of {symbol} at {written(times[number])}")
        kept = order[~ahead & ~again]
        if len(kept):
            numbers = kept.tolist()
            self.series[symbol] = Series(times[kept], [places[n] for n in numbers], [rows.packed[n] for n in numbers])

    def _known(self, rows: _Gathered) -> NDArray[np.float64]:
        """When each price was known: where most are dated by days or midnights, midnights mean the day."""
        moments, days = np.frombuffer(rows.moments), np.frombuffer(rows.days)
        dated = ~np.isnan(days)
        if 2 * dated.sum() <= len(days):
            return moments
        times = np.where(dated, days, moments)
        self.midnights += int((times != moments).sum())
        return times


@dataclass
class _Gathered:
    """Prices of a symbol as they were read: their times as moments, and as whole days or NaN; places; values."""

    moments: array[float] = field(default_factory=lambda: array("d"))
    days: array[float] = field(default_factory=lambda: array("d"))
    places: list[str] = field(default_factory=list)
    packed: list[bytes] = field(default_factory=list)


def whole(row: Row | BadRow) -> Row:
    """A row whose columns are written on as they stand.

    Raises:
        UnreadableRow: it could not be read, or a column has bytes that are no text.
    """
    if isinstance(row, BadRow):
        raise UnreadableRow(row.reason)
    for column, value in row.values.items():
        check_inside(column, "the name of a column")
        check_inside(value, f"column '{column}'")
    return row


def _symbol(row: Row, by: str) -> str:
    value = row.values.get(by)
    if value in (None, ""):
        raise UnreadableRow(f"no symbol in column '{by}'")
    return str(value).strip()


def _pack(row: Row, left_out: Sequence[str]) -> bytes:
    values = {name: value for name, value in row.values.items() if name not in left_out}
    return json.dumps(values, ensure_ascii=False, default=str).encode()
