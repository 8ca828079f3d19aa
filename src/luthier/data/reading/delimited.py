"""Records of CSV and TSV files with their true line numbers; one broken record does not swallow the next."""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from luthier.data.reading.lines import MAX_ROW_BYTES, Line

_DELIMITERS = ",;\t|"
_SNIFF_LINES = 200
_END = "\x00end of file\x00"


@dataclass(frozen=True, slots=True)
class Record:
    """One record, or why it is none.

    Attributes:
        line: 1-based line where it begins.
        fields: column -> cell.
        problem: why it cannot be used, None when it can.
    """

    line: int
    fields: dict[str, str]
    problem: str | None = None


def sniff_delimiter(lines: list[str]) -> str:
    """The delimiter that cuts the most lines into as many cells as the header; a comma when none does."""

    def agreement(delimiter: str) -> float:
        try:
            counts = [len(record) for record in csv.reader(lines, delimiter=delimiter) if record]
        except csv.Error:
            return 0.0
        return Counter(counts)[counts[0]] / len(counts) if counts and counts[0] > 1 else 0.0

    return max(_DELIMITERS, key=agreement)


def read_delimited(lines: Iterator[Line], delimiter: str | None = None) -> Iterator[Record]:
    """Records under the names of the first one. Quoted cells may hold line breaks; blank lines are no rows.

    Args:
        lines: the file.
        delimiter: None = sniffed from the first lines.
    """
    csv.field_size_limit(MAX_ROW_BYTES)
    head = list(islice(lines, _SNIFF_LINES))
    if delimiter is None:
        delimiter = sniff_delimiter([line.text for line in head if not line.problem])
    records = _records(_Source(head, lines), delimiter)
    header = next(records, None)
    if header is None:
        return
    names, problem = _names(header.cells), header.problem
    if problem:
        yield Record(header.line, {}, f"the header cannot be read: {problem}")
        return
    yield from _named(records, names)


@dataclass(frozen=True, slots=True)
class _Cells:
    line: int
    cells: list[str]
    problem: str | None


def _named(records: Iterator[_Cells], names: list[str]) -> Iterator[Record]:
    for record in records:
        cells = record.cells
        while len(cells) > len(names) and not cells[-1]:
            cells.pop()
        problem = record.problem
        if not problem and len(cells) != len(names):
            problem = f"{len(cells)} cells, the header has {len(names)}"
        yield Record(record.line, {} if problem else dict(zip(names, cells, strict=True)), problem)


def _names(cells: list[str]) -> list[str]:
    """Column names; nameless and repeated ones get a number, so that no column is lost."""
    names: list[str] = []
    for number, cell in enumerate(cells, start=1):
        name = cell.strip() or f"column_{number}"
        names.append(name if name not in names else f"{name}_{number}")
    return names


class _Source:
    """Lines for `csv.reader`, remembering those of the record in progress so that they can be read again."""

    def __init__(self, head: list[Line], rest: Iterator[Line]) -> None:
        self.waiting = deque(head)
        self.rest = rest
        self.taken: list[Line] = []

    def __iter__(self) -> Iterator[str]:
        while line := self.waiting.popleft() if self.waiting else next(self.rest, None):
            self.taken.append(line)
            yield line.text + "\n"
        yield _END

    def begin_record(self) -> None:
        self.taken.clear()

    def again_after_first(self) -> None:
        """Puts all lines of the record but its first back."""
        self.waiting.extendleft(reversed(self.taken[1:]))


def _records(source: _Source, delimiter: str) -> Iterator[_Cells]:
    """Cells of every record. A quote that is never closed costs its own line: the lines after it are read again."""
    width = 0
    reader = csv.reader(source, delimiter=delimiter)
    while True:
        source.begin_record()
        problem: str | None
        try:
            cells = next(reader)
        except csv.Error as error:
            cells, problem = [], f"not CSV: {error}"
        else:
            problem = next((line.problem for line in source.taken if line.problem), None)
        if cells == [_END]:
            return
        lines = source.taken
        if not problem and not "".join(line.text for line in lines).strip():
            continue
        ragged = len(lines) > 1 and (len(cells) != (width or len(cells)) or not _well_quoted(lines, delimiter))
        if not cells or cells[-1].endswith(_END) or ragged:
            problem = problem or "a quote is opened and never closed"
            source.again_after_first()
            reader = csv.reader(source, delimiter=delimiter)
        width = width or len(cells)
        yield _Cells(lines[0].number, cells, problem)


def _well_quoted(lines: Sequence[Line], delimiter: str) -> bool:
    """Whether every quoted cell of a record ends at a delimiter; one that ran into the next row does not."""
    try:
        list(csv.reader((line.text + "\n" for line in lines), delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return True
