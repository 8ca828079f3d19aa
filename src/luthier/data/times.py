"""Times as they stand in people's rows: ISO 8601, the forms of mail and of feeds, numbers."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any

from luthier.data.examples import UnreadableRow
from luthier.data.formats import describe

Time = datetime | date | float
"""A moment, a whole day, or a number that names no date but grows with time, such as a year or a counter."""

YEARS = range(1678, 2262)
"""Those that tables with nanoseconds in 64 bits have room for; any other is a mistake, or stands for never."""

_COUNTED = 1e7
"""Smaller numbers count something: as seconds since 1970 they would lie within four months of it."""

_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (math.inf, 1e9))
"""(numbers below this, so many of them in a second): seconds, milliseconds, microseconds, nanoseconds since 1970. Each
would lie far beyond `YEARS` in the unit before it."""

_DAY, _MOMENT = len("YYYYMMDD"), len("YYYYMMDDhhmmss")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_time(value: Any, column: str) -> Time:
    """A value as a time: `2014-01-01T09:30-05:00`, `2014-01-01`, `2014/01/01`, `Wed, 1 Jan 2014 9:30 +0000`, a number.

    A number, also one that is written as text, is told by its size: of eight digits it is a day (20140101), of fourteen
    a moment (20140101093000), else seconds, milliseconds, microseconds or nanoseconds since 1970; below ten million it
    stays what it is.

    Args:
        value: what stands in the row.
        column: its column, for the message.

    Raises:
        UnreadableRow: it is no time, or of a year that nobody can mean.
    """
    shown = f"column '{column}' is " + (f"'{value.strip()[:40]}'" if isinstance(value, str) else describe(value))
    try:
        found = _from_text(value.strip()) if isinstance(value, str) else _from_other(value)
    except (ValueError, OverflowError):
        raise UnreadableRow(f"{shown}, expected ISO 8601 or a number") from None
    if isinstance(found, date) and found.year not in YEARS:  # a datetime is one too
        raise UnreadableRow(f"{shown}, a time in the year {found.year}: expected {YEARS[0]} to {YEARS[-1]}")
    return found


def _from_other(value: Any) -> Time:
    if isinstance(value, date):
        return value
    if isinstance(value, int | float):
        return _from_number(value)
    raise ValueError("no time")


def _from_text(text: str) -> Time:
    try:
        number = float(text)
    except ValueError:
        return _from_words(text)
    return _from_number(number)


def _from_words(text: str) -> Time:
    iso = text.replace("/", "-") if text[4:5] == "/" else text
    for read in (date.fromisoformat, datetime.fromisoformat):
        with suppress(ValueError):
            return read(iso)
    try:
        return parsedate_to_datetime(text)
    except (TypeError, IndexError) as error:
        raise ValueError("no time") from error


def _from_number(number: float) -> Time:
    if not math.isfinite(number):
        raise ValueError("no time")
    if abs(number) < _COUNTED:
        return float(number)
    digits = f"{number:.0f}"
    if len(digits) == _DAY:
        return date.fromisoformat(digits)
    if len(digits) == _MOMENT:
        return datetime.fromisoformat(f"{digits[:_DAY]}T{digits[_DAY:]}")
    in_a_second = next(count for limit, count in _UNITS if abs(number) < limit)
    return _EPOCH + timedelta(seconds=number / in_a_second)


def in_seconds(found: Time, zone: tzinfo = UTC, at: time | None = time()) -> float:
    """A time as a number that grows with it: seconds since 1970 for moments and days, other numbers as they are.

    Args:
        found: the time.
        zone: where it was written, when it does not say so itself.
        at: the time of day that is meant by a whole day; None = its end.
    """
    if isinstance(found, float):
        return found
    if not isinstance(found, datetime):
        found = datetime.combine(found if at is not None else found + timedelta(days=1), at or time())
    return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()


def written(moment: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, to the second: 2014-01-01T14:30:00Z."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
