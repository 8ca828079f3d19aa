"""The first pass over all rows: the examples are written aside, and a few numbers of each row stay in memory."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luthier.data.cleaning import RowSet
from luthier.data.examples import Example
from luthier.data.intake import Taken
from luthier.data.similarity import Signatures, Signer
from luthier.data.splits import SPLITS
from luthier.data.store import Examples, ExampleWriter, Kept
from luthier.data.texts import said_with

_FIRST = 10
_BATCH = 1000
_BATCH_CHARACTERS = 4_000_000


@dataclass(frozen=True)
class Gathered:
    """What the first pass leaves: examples aside on disk, and a few numbers a row.

    Attributes:
        files: names of the files, by number.
        examples: all rows, on disk.
        roles: int8, the split whose source a row comes from.
        labels: int32, number of the classes that a row names, -1 when it names none.
        combinations: the classes that rows name together, by number; one class where rows have one label.
        keys: float64, group number or time of a row.
        known: float64, when a row's label became known; NaN where nothing says so.
        readable: whether a row has an example.
        generated: whether a model wrote a row.
        signatures: to compare texts by.
        quarantined: how many rows could not be read.
        first_bad: the first ten of them, as `file:line reason`.
        families: int64, the row of the input that holds a row: itself but for the examples of a row of several.
        holders: how many rows hold several; they are no examples themselves.
        late: how many answers name a date after they were asked.
        first_late: the first ten of them, likewise.
    """

    files: list[str]
    examples: Examples
    roles: NDArray[np.int8]
    labels: NDArray[np.int32]
    combinations: list[tuple[str, ...]]
    keys: NDArray[np.float64]
    known: NDArray[np.float64]
    readable: NDArray[np.bool_]
    generated: NDArray[np.bool_]
    signatures: Signatures
    quarantined: int
    first_bad: list[str]
    families: NDArray[np.int64]
    holders: int = 0
    late: int = 0
    first_late: list[str] = field(default_factory=list)

    def text(self, row_id: int) -> str:
        """The text by which a row is compared."""
        return self.examples.example(row_id).comparable

    def row_set(self, rows: NDArray[np.int64]) -> RowSet:
        """Some rows, ascending, as cleaning steps judge them."""
        stream = partial(self._stream, rows)
        return RowSet(rows, self.signatures, self.labels, self.text, self.combinations, stream, self.families)

    def _stream(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, Example]]:
        wanted = np.zeros(len(self.roles), bool)
        wanted[rows] = True
        first = 0
        for batch in self.examples.batches(wanted):
            yield from ((row_id, row.example) for row_id, row in enumerate(batch, start=first) if row.example)
            first += len(batch)


@dataclass
class _Noted:
    """Rows of a kind: how many, and the first ten of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, row: Taken, what: str) -> None:
        self.count += 1
        if len(self.first) < _FIRST:
            self.first.append(f"{row.file}:{row.line} {what}")


@dataclass
class _Numbers:
    """A few numbers of every row, as they are read."""

    files: dict[str, int] = field(default_factory=dict)
    combinations: dict[tuple[str, ...], int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    roles: array[int] = field(default_factory=lambda: array("b"))
    labels: array[int] = field(default_factory=lambda: array("i"))
    keys: array[float] = field(default_factory=lambda: array("d"))
    known: array[float] = field(default_factory=lambda: array("d"))
    readable: array[int] = field(default_factory=lambda: array("b"))
    generated: array[int] = field(default_factory=lambda: array("b"))
    families: array[int] = field(default_factory=lambda: array("q"))
    holders: int = 0
    bad: _Noted = field(default_factory=_Noted)
    late: _Noted = field(default_factory=_Noted)

    def add(self, row: Taken) -> int:
        """Takes a row; the number of its file."""
        classes = () if row.example is None else row.example.classes
        names = self.combinations
        key = self.groups.setdefault(row.key, len(self.groups)) if isinstance(row.key, str) else row.key
        self.families.append(len(self.roles) if row.parent_id is None else row.parent_id)
        self.roles.append(SPLITS.index(row.role))
        self.labels.append(names.setdefault(classes, len(names)) if classes else -1)
        self.keys.append(float(key or 0.0))
        self.known.append(math.nan if row.known is None else row.known)
        self.readable.append(row.example is not None)
        self.generated.append(row.generated)
        self.holders += row.parts > 0
        if row.example is None and not row.dropped and not row.parts:
            self.bad.add(row, row.reason)
        if row.late:
            self.late.add(row, row.late)
        return self.files.setdefault(row.file, len(self.files))

    def gathered(self, examples: Examples, signatures: Signatures) -> Gathered:
        """All of them as arrays."""
        return Gathered(
            files=list(self.files),
            examples=examples,
            roles=np.array(self.roles, np.int8),
            labels=np.array(self.labels, np.int32),
            combinations=list(self.combinations),
            keys=np.array(self.keys, np.float64),
            known=np.array(self.known, np.float64),
            readable=np.array(self.readable, bool),
            generated=np.array(self.generated, bool),
            signatures=signatures,
            quarantined=self.bad.count,
            first_bad=self.bad.first,
            families=np.array(self.families, np.int64),
            holders=self.holders,
            late=self.late.count,
            first_late=self.late.first,
        )


def gather(taken: Iterable[Taken], path: Path, progress: Callable[[int], None]) -> Gathered:
    """The first pass: writes the examples aside and keeps a few numbers of each row."""
    numbers, signer, texts, beside = _Numbers(), Signer(), list[str](), list[str]()
    characters = 0
    with ExampleWriter(path) as writer:
        for row in taken:
            about = (row.reason, row.changes, row.dropped, row.origin, row.parent_id, row.parts, row.source)
            writer.write(Kept(numbers.add(row), row.line, row.example, *about))
            texts.append("" if row.example is None else row.example.comparable)
            beside.append("" if row.example is None else said_with(row.example))
            characters += len(texts[-1])
            if len(texts) >= _BATCH or characters >= _BATCH_CHARACTERS:
                signer.add(texts, beside)
                texts, beside, characters = [], [], 0
                progress(len(numbers.roles))
        signer.add(texts, beside)
        progress(len(numbers.roles))
    return numbers.gathered(Examples(path), signer.finish())
