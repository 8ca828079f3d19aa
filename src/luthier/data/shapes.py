"""Which format a person's rows have, and which column plays which role: by names, else by values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luthier.config import SourceConfig
from luthier.data.examples import Row, UnreadableRow, visible
from luthier.data.formats import describe, detect, load_format
from luthier.data.personal import hidden
from luthier.errors import DataError

_EXAMPLES = 3
_MOST_LABELS = 50
_MOST_NUMBERS = 5
_LONGEST_LABEL = 40


@dataclass(frozen=True)
class Column:
    """A column of the first rows.

    Attributes:
        name: its name.
        kind: text | number | true or false | list | object | empty | mixed.
        examples: up to three values, shortened.
    """

    name: str
    kind: str
    examples: list[str]


def guess_format(rows: Sequence[Row], source: SourceConfig) -> tuple[str | None, dict[str, str], dict[str, str], str]:
    """The format of the first rows: its name, roles, the columns that have to be said to load it, and the reason."""
    if not rows:
        return None, {}, {}, "no row could be read"
    name, reason = source.format, f"{source.format}, as it was told"
    if name == "auto":
        try:
            name, reason = detect(rows, source.columns)
        except DataError as error:
            roles = None if source.columns else _roles_by_values(rows)
            if roles is None:
                return None, {}, {}, error.found
            text, label = roles.values()
            return "labelled", roles, roles, f"labelled: '{label}' has few values, '{text}' is the longest text"
    form = load_format(name, source.columns)
    for row in rows:
        try:
            return name, form.roles(row), source.columns, reason
        except UnreadableRow:
            continue
    return name, {}, source.columns, reason


def _roles_by_values(rows: Sequence[Row]) -> dict[str, str] | None:
    """A text column and a label column by what stands in them, for names that say nothing."""
    columns: dict[str, list[str]] = {}
    for row in rows:
        for name, value in row.values.items():
            if isinstance(value, str | int) and str(value).strip():
                columns.setdefault(name, []).append(str(value).strip())
    full = {name: values for name, values in columns.items() if len(values) >= 0.9 * len(rows)}
    texts = {name: sum(map(len, values)) / len(values) for name, values in full.items()}
    few = {name: len(set(values)) for name, values in full.items() if _like_labels(values)}
    text = max(texts, key=lambda name: texts[name], default=None)
    label = min((name for name in few if name != text), key=lambda name: few[name], default=None)
    if text is None or label is None or texts[text] < 15:
        return None
    return {"text": text, "label": label}


def _like_labels(values: Sequence[str]) -> bool:
    """Few, short and each repeated; numbers only when they number classes, for others count or measure something."""
    distinct = set(values)
    most = _MOST_LABELS
    if all(_kind(value) == "number" for value in distinct):
        most = _MOST_NUMBERS if min(map(float, distinct)) in (-1, 0, 1) else 0
    return 1 < len(distinct) <= min(most, len(values) // 3) and max(map(len, distinct)) <= _LONGEST_LABEL


def columns_of(rows: Sequence[Row]) -> list[Column]:
    """The columns of the first rows."""
    names = dict.fromkeys(str(name) for row in rows for name in row.values)
    return [_column(name, [row.values.get(name) for row in rows]) for name in names]


def _column(name: str, values: Sequence[Any]) -> Column:
    filled = [value for value in values if value is not None and value != ""]
    kinds = {_kind(value) for value in filled}
    kind = "empty" if not kinds else kinds.pop() if len(kinds) == 1 else "mixed"
    shown = list(dict.fromkeys(short(value) for value in filled))[:_EXAMPLES]
    return Column(name, kind, shown)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return "text"
        return "number"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "number"
    return describe(value).removeprefix("a ").removeprefix("an ")


def short(value: Any, limit: int = 60) -> str:
    """A value on one line, cut, without personal data, and such that it can be printed."""
    text = hidden(" ".join(visible(str(value)).split()))
    return text if len(text) <= limit else text[: limit - 1] + "…"
