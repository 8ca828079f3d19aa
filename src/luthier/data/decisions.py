"""Between the two passes: all rows have been seen once, and it is decided which are used for what."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luthier.config import DataConfig
from luthier.data.cleaner import Cleaner
from luthier.data.cleaning import RowSet
from luthier.data.examples import Example
from luthier.data.imbalance import uneven_labels
from luthier.data.intake import Taken
from luthier.data.similarity import Signatures, Signer
from luthier.data.splits import SPLITS, TEST, TRAIN, VALIDATION, Keys, carve, find_leaks, limited
from luthier.data.store import Examples, ExampleWriter, Kept
from luthier.data.texts import offered_tools
from luthier.data.timeline import embargoed, outside
from luthier.errors import DataError

LEAK_SIMILARITY = 0.8
"""Rows of two splits that overlap by as much (Jaccard similarity of 5-grams) leak."""

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
class Decisions:
    """What becomes of the readable rows.

    Attributes:
        splits: int8, the split of every row.
        alive: whether a row goes on to be tokenised.
        labels: the allowed labels, in order.
        dropped: row -> why.
        quarantined: row -> why.
        flags: row -> what is to be noted about a row that stays.
        notes: what to say aloud.
    """

    splits: NDArray[np.int8]
    alive: NDArray[np.bool_]
    labels: tuple[str, ...] = ()
    dropped: dict[int, str] = field(default_factory=dict)
    quarantined: dict[int, str] = field(default_factory=dict)
    flags: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def rows(self, split: int) -> NDArray[np.int64]:
        """The rows of a split that are still alive, ascending."""
        return np.flatnonzero(self.alive & (self.splits == split))

    def drop(self, row: int, reason: str) -> None:
        """Takes a readable row out."""
        self.dropped[row] = reason
        self.alive[row] = False

    def flag(self, row: int, note: str) -> None:
        """Notes something about a row that stays."""
        self.flags[row] = "; ".join(filter(None, (self.flags.get(row), note)))


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
    numbers, signer, texts, tools = _Numbers(), Signer(), list[str](), list[str]()
    characters = 0
    with ExampleWriter(path) as writer:
        for row in taken:
            about = (row.reason, row.changes, row.dropped, row.origin, row.parent_id, row.parts, row.source)
            writer.write(Kept(numbers.add(row), row.line, row.example, *about))
            texts.append("" if row.example is None else row.example.comparable)
            tools.append("" if row.example is None else offered_tools(row.example))
            characters += len(texts[-1])
            if len(texts) >= _BATCH or characters >= _BATCH_CHARACTERS:
                signer.add(texts, tools)
                texts, tools, characters = [], [], 0
                progress(len(numbers.roles))
        signer.add(texts, tools)
        progress(len(numbers.roles))
    return numbers.gathered(Examples(path), signer.finish())


def decide(rows: Gathered, config: DataConfig, cleaner: Cleaner | None = None) -> Decisions:
    """Labels, cleaning, splits, leaks and the limit, in this order.

    Args:
        rows: all rows.
        config: the data's configuration.
        cleaner: the one that repaired the rows; None = a new one.

    Raises:
        DataError: too many rows cannot be read.
    """
    made = Decisions(rows.roles.copy(), rows.readable.copy())
    if rows.late:
        listed = "\n".join(f"- {line}" for line in rows.first_late)
        made.notes.append(f"{rows.late} answers name a date after they were asked. The first:\n{listed}")
    made.labels = _labels(rows, config, made)
    _check_tolerance(rows, config, made)
    cleaner = cleaner or Cleaner(config)
    _clean(rows, cleaner, made)
    made.notes += cleaner.notes()
    _carve(rows, config, made)
    _stop_leaks(rows, made)
    if config.limit is not None:
        train = made.rows(TRAIN)
        for row in train[~limited(rows.labels[train], config.limit, config.split.seed)].tolist():
            made.drop(row, "over data.limit")
    made.notes += _imbalance(rows, made)
    return made


def _labels(rows: Gathered, config: DataConfig, made: Decisions) -> tuple[str, ...]:
    """The allowed labels; rows of other splits with a label that training never shows are quarantined."""
    if config.labels is not None:
        return tuple(config.labels)
    trained = np.unique(rows.labels[made.rows(TRAIN)])
    known = {name for code in trained.tolist() if code >= 0 for name in rows.combinations[code]}
    others = {code: [n for n in names if n not in known] for code, names in enumerate(rows.combinations)}
    strange = [code for code, names in others.items() if names]
    for row in np.flatnonzero(made.alive & np.isin(rows.labels, strange)).tolist():
        made.quarantined[row] = f"label '{others[rows.labels[row]][0][:60]}' does not occur in the training rows"
        made.alive[row] = False
    return tuple(sorted(known))


def _check_tolerance(rows: Gathered, config: DataConfig, made: Decisions) -> None:
    total = len(rows.roles) - rows.holders
    bad = rows.quarantined + len(made.quarantined)
    if total and bad <= config.tolerance * total:
        return
    late = [f"row {row}: {reason}" for row, reason in made.quarantined.items()]
    listed = "\n".join(f"- {line}" for line in (rows.first_bad + late)[:_FIRST])
    raise DataError(
        f"{bad} of {total} rows ({bad / max(total, 1):.1%}) cannot be used; data.tolerance allows "
        f"{config.tolerance:.1%}. The first:\n{listed}",
        hint="mend these rows, say which columns and labels are meant, or raise data.tolerance",
    )


def _clean(rows: Gathered, cleaner: Cleaner, made: Decisions) -> None:
    """Every step judges the training rows; in the user's own validation and test rows it only notes what it finds."""
    for step in cleaner.steps:
        for split in (TRAIN, VALIDATION, TEST):
            judged = step.judge(rows.row_set(made.rows(split)), SPLITS[split])
            for row, reason in judged.items():
                if step.drops(SPLITS[split]):
                    made.drop(row, reason)
                else:
                    made.flag(row, reason)


def _imbalance(rows: Gathered, made: Decisions) -> list[str]:
    """A note on uneven labels; of rows that name several, as tagged words do, frequencies say little."""
    codes, counts = np.unique(rows.labels[made.rows(TRAIN)], return_counts=True)
    named = {rows.combinations[code]: n for code, n in zip(codes.tolist(), counts.tolist(), strict=True) if code >= 0}
    uneven = uneven_labels({names[0]: n for names, n in named.items()}) if all(map(_single, named)) else None
    return [f"label imbalance: {uneven}"] if uneven else []


def _single(names: tuple[str, ...]) -> bool:
    return len(names) == 1


def _carve(rows: Gathered, config: DataConfig, made: Decisions) -> None:
    """Examples of one row of the input stay together: the first of them stands for all."""
    by = config.split.by.partition(":")[0]
    if by == "time":
        _drop(made, made.rows(TRAIN), outside(rows.keys[made.rows(TRAIN)], config.split))
    train = made.rows(TRAIN)
    train = train[~rows.generated[train]]  # what a model wrote is no test of another one
    _, firsts, family = np.unique(rows.families[train], return_index=True, return_inverse=True)
    leaders = train[firsts]
    keys = Keys(
        rows.labels[leaders],
        rows.keys[leaders].astype(np.int32) if by == "group" else None,
        rows.keys[leaders] if by == "time" else None,
    )
    codes, notes = carve(keys, config.split, test=not config.test, validation=not config.validation)
    made.splits[train] = codes[family]
    made.notes += notes
    if by == "time" and (config.split.embargo or config.split.label_time):
        _drop(made, train, embargoed(rows.keys[train], rows.known[train], codes[family], config.split.embargo))


def _drop(made: Decisions, rows: NDArray[np.int64], reasons: Mapping[int, str]) -> None:
    """Drops some of the rows, by their positions."""
    for position, reason in reasons.items():
        made.drop(int(rows[position]), reason)


def _stop_leaks(rows: Gathered, made: Decisions) -> None:
    """No training row says what a validation or test row says, no validation row what a test row says."""
    for split, lower in ((TEST, (TRAIN, VALIDATION)), (VALIDATION, (TRAIN,))):
        candidates = np.flatnonzero(made.alive & np.isin(made.splits, lower))
        leaks = find_leaks(rows.signatures, candidates, made.rows(split), LEAK_SIMILARITY, rows.text)
        for row, other in sorted(leaks.items()):
            same = bool(rows.signatures.exact[row] == rows.signatures.exact[other])
            reason = resemblance(split, other, same=same)
            if rows.roles[row] == TRAIN:
                made.drop(row, f"leak: {reason}")
            else:
                made.flag(row, reason)


def resemblance(split: int, row: int, *, same: bool) -> str:
    """What the ledger says of a row that repeats one of another split."""
    return f"{'duplicate' if same else 'near-duplicate'} of {SPLITS[split]} row {row}"
