"""News on disk, in the order of symbols and weeks, however many they are and in whatever order they came."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from itertools import groupby
from operator import itemgetter
from typing import Self


@dataclass(frozen=True, slots=True)
class News:
    """One piece of news: when it was told (seconds since 1970), what it says, and where it stands."""

    time: float
    text: str
    file: str
    line: int


class Shelf:
    """Takes news one by one and gives them back week by week. Closing it deletes its file."""

    def __init__(self) -> None:
        self._table = sqlite3.connect("")  # a file of its own, which SQLite deletes
        self._table.execute(
            "create table news (symbol text, week integer, time real, text text, file text, line integer)"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._table.close()

    def put(self, symbol: str, week: int, news: News) -> None:
        """Keeps a piece of news under its symbol and week."""
        self._table.execute(
            "insert into news values (?, ?, ?, ?, ?, ?)", (symbol, week, news.time, news.text, news.file, news.line)
        )

    def weeks(self) -> Iterator[tuple[str, int, list[News]]]:
        """(symbol, week, its news in order of time), in order of symbols and weeks."""
        rows = self._table.execute("select * from news order by symbol, week, time, rowid")
        for (symbol, week), found in groupby(rows, key=itemgetter(0, 1)):
            yield symbol, week, [News(*row[2:]) for row in found]


def week_of(moment: float, zone: tzinfo) -> int:
    """The week of a moment: the number of its Monday, as `date.toordinal` has it."""
    day = datetime.fromtimestamp(moment, zone).date()
    return day.toordinal() - day.weekday()


def beginning(day: date, zone: tzinfo) -> float:
    """The first moment of a day, in seconds since 1970."""
    return datetime.combine(day, time(), zone).timestamp()
