"""Times as they stand in people's rows: ISO 8601, the forms of mail and of feeds, numbers."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any

from luthier.data.examples import UnreadableRow
from luthier.data.formats import describe

Time = datetime | date | float
"""A time of day, a whole day, or a number that grows with time."""


def read_time(value: Any, column: str) -> Time:
    """A value as a time: `2014-01-01T09:30-05:00`, `2014-01-01`, `2014/01/01`, `Wed, 1 Jan 2014 9:30 +0000`, a number.

    Args:
        value: what stands in the row.
        column: its column, for the message.

    Raises:
        UnreadableRow: it is no time.
    """
    if isinstance(value, str):
        return _from_text(value.strip(), column)
    if isinstance(value, date):  # a datetime is one too
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    raise UnreadableRow(f"column '{column}' is {describe(value)}, expected a time")


def _from_text(text: str, column: str) -> Time:
    iso = text.replace("/", "-") if text[4:5] == "/" else text
    for read in (date.fromisoformat, datetime.fromisoformat, float):
        try:
            found: Time = read(iso)
        except ValueError:
            continue
        if not isinstance(found, float) or math.isfinite(found):
            return found
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        raise UnreadableRow(f"column '{column}' is '{text[:40]}', expected ISO 8601 or a number") from None


def in_seconds(found: Time, zone: tzinfo = UTC, at: time | None = time()) -> float:
    """A time as a number that grows with it: seconds since 1970 for dates, numbers as they are.

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
