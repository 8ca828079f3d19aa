"""Dates in texts, and answers that name one after the moment they were asked at: they may know what came later.

Found are full dates, months and years in English and Chinese: `2015-10-01`, `1 October 2015`, `Oct. 1, 2015`,
`October 2015`, `Q3 2015`, `in 2015`, `2015年10月1日`, `2015年10月`, `2015年`. A bare number is a year only behind a
word that makes it one (in, since, of, ...).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime

from luthier.data.examples import Conversation, Example, Message, Pair, Preference

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_DAY = r"(?P<day>[0-3]?\d)"
_FORMS = [
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?<![\d-]){_YEAR}[-/.](?P<month>[01]?\d)[-/.]{_DAY}(?!\d)",
        rf"(?<!\d){_YEAR}\s*年(?:\s*(?P<month>[01]?\d)\s*月)?(?:\s*{_DAY}\s*[日号])?",
        rf"\b{_MONTH}\s+{_DAY}(?:st|nd|rd|th)?,?\s+{_YEAR}\b",
        rf"\b(?:{_DAY}(?:st|nd|rd|th)?\s+(?:of\s+)?)?{_MONTH},?\s+{_YEAR}\b",
        rf"\b(?:Q(?P<quarter>[1-4])|(?P<ordinal>first|second|third|fourth) quarter)(?:\s+of)?\s+{_YEAR}\b",
        rf"\b(?:in|since|during|of|fiscal|FY|year|until|from|through)\s*{_YEAR}\b(?![-/.年]?\d|%)",
    )
]
_ANY_YEAR = re.compile(r"(?:19|20)\d\d")
_ORDINALS = ("first", "second", "third", "fourth")


def dates_in(text: str) -> Iterator[tuple[date, str]]:
    """Every date that a text names, as (its first day, how it is written). A date inside a longer one comes once."""
    if not _ANY_YEAR.search(text):
        return
    taken: list[tuple[int, int]] = []
    for form in _FORMS:
        for found in form.finditer(text):
            if any(start < found.end() and found.start() < end for start, end in taken):
                continue
            day = _first_day(found.groupdict())
            if day is not None:
                taken.append(found.span())
                yield day, found[0].strip()


def _first_day(parts: dict[str, str | None]) -> date | None:
    """The first day of what was named; None when there is no such day."""
    month = parts.get("month") or "1"
    if quarter := parts.get("quarter"):
        number = 3 * int(quarter) - 2
    elif ordinal := parts.get("ordinal"):
        number = 3 * _ORDINALS.index(ordinal.lower()) + 1
    else:
        number = int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1
    try:
        return date(int(parts["year"] or 0), number, int(parts.get("day") or 1))
    except ValueError:
        return None


def hindsight(example: Example, moment: float | None) -> str | None:
    """What an answer names that comes after it was asked, as the ledger says it; None when there is nothing.

    Asked was at the row's time, or at the latest date that the prompt names, whichever is later. Without either nothing
    can be told.

    Args:
        example: the row.
        moment: its time in seconds since 1970, where it has one.
    """
    prompt, answer = _asked_and_answered(example)
    named = list(dates_in(answer))
    if not named:
        return None
    asked = [day for day, _ in dates_in(prompt)]
    if moment is not None:
        asked.append(datetime.fromtimestamp(moment, UTC).date())
    if not asked:
        return None
    day, text = max(named)
    return f"hindsight: the answer names {text}, after {max(asked)}" if day > max(asked) else None


def _asked_and_answered(example: Example) -> tuple[str, str]:
    """The prompt and the free answer of an example; a label is no answer that could name a date."""
    match example:
        case Conversation(messages):
            return _said(messages, answer=False), _said(messages, answer=True)
        case Pair(source, target):
            return source, target
        case Preference(messages, chosen):
            return _said(messages, answer=False), chosen
        case _:
            return "", ""


def _said(messages: tuple[Message, ...], *, answer: bool) -> str:
    return "\n".join(message.content for message in messages if (message.role == "assistant") == answer)
