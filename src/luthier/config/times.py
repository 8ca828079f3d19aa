"""Moments and lengths of time as people write them: `2015-10-01`, `5d`, `12h`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def seconds(duration: str) -> float:
    """A duration in seconds: a number with s, m (minutes), h, d or w.

    Raises:
        ValueError: it is not written so.
    """
    found = _DURATION.fullmatch(duration.strip())
    if not found:
        raise ValueError(f"'{duration}' is no duration; write a number with s, m, h, d or w, such as 5d or 12h")
    return float(found[1]) * _UNITS[found[2]]


def timestamp(moment: str) -> float:
    """An ISO 8601 date or time in seconds since 1970; UTC where it names no zone, midnight where it names no time.

    Raises:
        ValueError: it is not written so.
    """
    try:
        found = datetime.fromisoformat(moment.strip())
    except ValueError:
        raise ValueError(f"'{moment}' is no ISO 8601 date or time, such as 2015-10-01 or 2015-10-01T16:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _duration(value: str) -> str:
    seconds(value)
    return value


def _as_text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value  # a datetime is a date too


def _moment(value: str) -> str:
    timestamp(value)
    return value


Duration = Annotated[str, AfterValidator(_duration)]
"""A length of time: 5d, 12h, 30m, 2w."""

Moment = Annotated[str, BeforeValidator(_as_text, json_schema_input_type=str), AfterValidator(_moment)]
"""An ISO 8601 date or time, as text or as Python has it."""
