"""Row formats, one file each: how a row of the user's becomes an example."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from luthier import registry
from luthier.data.examples import CALLED, Example, Row, UnreadableRow, UnwritableExample, is_text
from luthier.errors import DataError

Part = Example | UnreadableRow
"""One of several examples in a row, or the reason why it cannot be read."""

_Kind = TypeVar("_Kind", bound=Example)


class Format(Protocol):
    """What a format does. Every file of this package has one class of this shape, built from the column mapping.

    Attributes:
        columns: the roles a column may play, such as text and label, each with what it means.
    """

    columns: ClassVar[Mapping[str, str]]

    def __init__(self, columns: Mapping[str, str]) -> None: ...

    def matches(self, rows: Sequence[Row]) -> float:
        """How surely the first rows are of this format, 0 to 1; the more specific of two formats says more."""
        ...

    def roles(self, row: Row) -> dict[str, str]:
        """Which column of a row plays which role; optional roles only when they are played.

        Raises:
            UnreadableRow: a column is missing.
        """
        ...

    def example(self, row: Row) -> Example | Sequence[Part]:
        """The example in a row, or the several that it holds, in order; see `examples_in`.

        Raises:
            UnreadableRow: a column is missing, empty or of a wrong type; the message says which.
        """
        ...


@runtime_checkable
class Writable(Protocol):
    """A format that also writes: what `row` writes, `example` reads back."""

    def row(self, example: Example) -> dict[str, Any]:
        """The row that holds an example.

        Raises:
            UnwritableExample: something of the example would be lost; the message says what.
        """
        ...


def examples_in(form: Format, row: Row) -> list[Part]:
    """All examples in a row: one in most formats. Where a row holds several, a broken one does not take the others.

    Raises:
        UnreadableRow: the row as a whole cannot be read.
    """
    made = form.example(row)
    if not isinstance(made, Sequence):
        return [made]
    if not made:
        raise UnreadableRow("the row holds no example")
    return list(made)


def parts_of(items: Sequence[Any], make: Callable[[int, Any], Example]) -> list[Part]:
    """Several examples out of one row, made one by one from (1-based number, item)."""
    parts: list[Part] = []
    for number, item in enumerate(items, start=1):
        try:
            parts.append(make(number, item))
        except UnreadableRow as error:
            parts.append(error)
    return parts


def only(kind: type[_Kind], example: Example) -> _Kind:
    """An example of the one kind that a format writes.

    Raises:
        UnwritableExample: it is of another kind.
    """
    if not isinstance(example, kind):
        raise UnwritableExample(f"the format is for {CALLED[kind]}, this is {CALLED[type(example)]}")
    return example


def load_format(name: str, columns: Mapping[str, str]) -> Format:
    """A format by name, with the user's column mapping.

    Raises:
        DataError: the mapping names a role that the format does not have.
    """
    kind = registry.load("format", name)
    unknown = [role for role in columns if role not in kind.columns]
    if unknown:
        raise DataError(
            f"the format {name} has no column role '{unknown[0]}'",
            where="columns",
            expected=", ".join(kind.columns) or "none",
        )
    found: Format = kind(columns)
    return found


def detect(rows: Sequence[Row], columns: Mapping[str, str]) -> tuple[str, str]:
    """Finds the format by looking at the first rows.

    Returns:
        The format's name, and the reason to say aloud.

    Raises:
        DataError: no format fits, or two fit equally well.
    """
    scores: dict[str, float] = {}
    for name in registry.names("format"):
        kind = registry.load("format", name)
        if set(columns) <= set(kind.columns):
            scores[name] = kind(columns).matches(rows)
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    if not ranked or not ranked[0][1]:
        raise _undecided("no format fits these rows", rows, columns)
    (best, score), *others = ranked
    if others and score - others[0][1] < 0.02:
        raise _undecided(f"the rows fit {best} and {others[0][0]} equally well", rows, columns)
    return best, f"{best}, seen from {_columns(rows)} in the first {len(rows)} rows"


def _columns(rows: Sequence[Row]) -> str:
    seen = list(dict.fromkeys(str(column) for row in rows for column in row.values))
    return ", ".join(seen[:20]) + (", ..." if len(seen) > 20 else "") or "no columns"


def _undecided(found: str, rows: Sequence[Row], columns: Mapping[str, str]) -> DataError:
    mapped = f"; your mapping: {', '.join(f'{role}: {column}' for role, column in columns.items())}" if columns else ""
    roles = "; ".join(
        f"{name} ({', '.join(registry.load('format', name).columns) or 'lines'})" for name in registry.names("format")
    )
    return DataError(
        found,
        where=rows[0].file if rows else None,
        expected=f"the columns of a format: {roles}. Seen: {_columns(rows)}{mapped}",
        hint="name the format and say which column plays which role, such as "
        "{path: ..., format: labelled, columns: {text: YOUR_COLUMN, label: YOUR_COLUMN}}",
    )


def readable_share(form: Format, rows: Sequence[Row]) -> float:
    """Share of rows that a format can read, 0 below two in five: what most formats base their `matches` on."""
    good = 0
    for row in rows:
        try:
            good += any(not isinstance(part, UnreadableRow) for part in examples_in(form, row))
        except UnreadableRow:
            continue
    return good / len(rows) if good >= 0.4 * len(rows) > 0 else 0.0


def find_column(row: Row, columns: Mapping[str, str], role: str, names: Sequence[str]) -> str:
    """The column that plays a role: the mapped one, else the first common name there is, whatever its case.

    Raises:
        UnreadableRow: there is none.
    """
    if role in columns:
        if columns[role] in row.values:
            return columns[role]
        raise UnreadableRow(f"missing column '{columns[role]}'")
    here = _by_plain_name(tuple(row.values))
    for name in names:
        if name in here:
            return here[name]
    raise UnreadableRow(f"missing column for {role} (such as {', '.join(names[:3])})")


def find_optional(row: Row, columns: Mapping[str, str], role: str, names: Sequence[str]) -> dict[str, str]:
    """{role: column}, or nothing where no column plays the role.

    Raises:
        UnreadableRow: the mapped column is missing.
    """
    try:
        return {role: find_column(row, columns, role, names)}
    except UnreadableRow:
        if role in columns:
            raise
        return {}


INSTRUCTION = {"instruction": "what is asked about it, in place of data.instruction (optional)"}
"""The role of a row's own instruction."""


def find_instruction(row: Row, columns: Mapping[str, str]) -> dict[str, str]:
    """{"instruction": column}, or nothing where a row has none: of the rows of one file some have, others have not."""
    column = columns.get("instruction", "instruction")
    return {"instruction": column} if column in row.values else {}


def instruction_in(row: Row, roles: Mapping[str, str]) -> str | None:
    """A row's own instruction; None where it has none, or an empty one.

    Raises:
        UnreadableRow: it is no text.
    """
    column = roles.get("instruction")
    return None if column is None else text_in(row.values[column], f"column '{column}'", empty=True).strip() or None


@lru_cache(maxsize=64)
def _by_plain_name(columns: tuple[str, ...]) -> dict[str, str]:
    """Columns by their names without case and spaces around; the rows of a file mostly have the same ones."""
    return {str(column).strip().casefold(): column for column in columns}


def text_in(value: Any, what: str, *, empty: bool = False) -> str:
    """Checks that a value is text; `empty` allows "" and null.

    Raises:
        UnreadableRow: it is something else; the message begins with `what`.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        if empty:
            return ""
        raise UnreadableRow(f"{what} is empty")
    if not isinstance(value, str):
        raise UnreadableRow(f"{what} is {describe(value)}, expected text")
    if not is_text(value):
        raise UnreadableRow(f"{what} has bytes that are no text")
    return value


def check_inside(value: Any, what: str) -> None:
    """Checks that a text is one, and every text inside of an object or a list, however deep.

    Raises:
        UnreadableRow: one is not; the message begins with `what`.
    """
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, str):
        text_in(value, what, empty=True)


def label_in(value: Any, what: str) -> str:
    """A label as text; whole numbers are fine (0, 1.0).

    Raises:
        UnreadableRow: it is empty, NaN, a fraction or no single value.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool | int):
        return str(value)
    label = text_in(value, what).strip()
    if label.casefold() == "nan":
        raise UnreadableRow(f"{what} is NaN")
    return label


def answer_in(value: Any, what: str) -> str:
    """A free answer as text; any number is one.

    Raises:
        UnreadableRow: it is empty, NaN or no single value.
    """
    if isinstance(value, float) and math.isfinite(value) and not value.is_integer():
        return str(value)
    return label_in(value, what)


def describe(value: Any) -> str:
    """What a value is, for messages."""
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, bool | int | float):
        return f"the number {value}"
    names: dict[type, str] = {list: "a list", tuple: "a list", dict: "an object", bytes: "bytes", str: "text"}
    return names.get(type(value), f"a {type(value).__name__}")
