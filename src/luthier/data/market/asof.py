"""Prices as they were known at a moment: the last one before it, never one after it.

An as-of join has one way to go wrong, and it flatters every result: a price that was not known yet. So a price that is
dated by its day alone counts as known at the market's close (or at the day's end), news dated by their day alone as
told at the day's beginning, and the last price strictly before the news is taken. Of a price that lies nearer but after
the news, the join says which one it was and that it was refused.

Rows of news may come in any order and stream; prices are held in memory, sorted by symbol and time, values packed.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, time, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.data.examples import BadRow, Row, UnreadableRow
from luthier.data.times import in_seconds, read_time, written


@dataclass(frozen=True)
class Clock:
    """How times are read.

    Attributes:
        zone: where they were written, when they do not say so themselves.
        day: the time of day that is meant by a whole day; None = its end.
    """

    zone: tzinfo = UTC
    day: time | None = time()

    def read(self, row: Row, column: str) -> float:
        """Seconds since 1970.

        Raises:
            UnreadableRow: there is no time in that column, or a number that names no date.
        """
        if row.values.get(column) in (None, ""):
            raise UnreadableRow(f"no time in column '{column}'")
        found = read_time(row.values[column], column)
        if isinstance(found, float):
            raise UnreadableRow(f"column '{column}' is the number {found:g}, which names no date")
        return in_seconds(found, self.zone, self.day)


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
        refused: rows that are not used, as `file:line reason`.
    """

    series: dict[str, Series] = field(default_factory=dict)
    rows: int = 0
    columns: list[str] = field(default_factory=list)
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
        gathered: dict[str, tuple[array[float], list[str], list[bytes]]] = {}
        for row in rows:
            prices.rows += 1
            if isinstance(row, Row) and not prices.columns:
                prices.columns = [str(name) for name in row.values]
            place = f"{row.file}:{row.line}"
            try:
                symbol, moment = _symbol(row, by), clock.read(_readable(row), column)
                if moment > now:
                    raise UnreadableRow(f"a price from the future: {written(moment)}")
            except UnreadableRow as error:
                prices.refused.append(f"{place} {error}")
                continue
            times, places, packed = gathered.setdefault(symbol, (array("d"), [], []))
            times.append(moment)
            places.append(place)
            packed.append(_pack(row, (by, column)))
        for symbol, columns in gathered.items():
            prices.series[symbol] = prices._sorted(symbol, *columns)
        return prices

    def _sorted(self, symbol: str, times: array[float], places: list[str], packed: list[bytes]) -> Series:
        """In order of time; of two prices at one time the first one that was read stays."""
        moments = np.frombuffer(times, np.float64)
        order = np.argsort(moments, kind="stable")
        fresh = np.concatenate([[True], np.diff(moments[order]) > 0])
        for number in order[~fresh].tolist():
            self.refused.append(f"{places[number]} a second price of {symbol} at {written(moments[number])}")
        kept = order[fresh]
        return Series(moments[kept], [places[n] for n in kept.tolist()], [packed[n] for n in kept.tolist()])


def _readable(row: Row | BadRow) -> Row:
    if isinstance(row, BadRow):
        raise UnreadableRow(row.reason)
    return row


def _symbol(row: Row | BadRow, by: str) -> str:
    value = _readable(row).values.get(by)
    if value in (None, ""):
        raise UnreadableRow(f"no symbol in column '{by}'")
    return str(value).strip()


def _pack(row: Row | BadRow, left_out: Sequence[str]) -> bytes:
    values = {name: value for name, value in _readable(row).values.items() if name not in left_out}
    return json.dumps(values, ensure_ascii=False, default=str).encode()
