"""Between the two passes: all rows have been seen once, and it is decided which are used for what."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luthier.config import DataConfig
from luthier.data.cleaning import RowSet
from luthier.data.intake import Taken, load_steps
from luthier.data.labels import uneven
from luthier.data.similarity import Signatures, Signer
from luthier.data.splits import SPLITS, TEST, TRAIN, VALIDATION, Keys, carve, find_leaks, limited
from luthier.data.store import Examples, ExampleWriter, Kept
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
        signatures: to compare texts by.
        quarantined: how many rows could not be read.
        first_bad: the first ten of them, as `file:line reason`.
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
    signatures: Signatures
    quarantined: int
    first_bad: list[str]
    late: int = 0
    first_late: list[str] = field(default_factory=list)

    def text(self, row_id: int) -> str:
        """The text by which a row is compared."""
        return self.examples.example(row_id).comparable


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


@dataclass
class _Noted:
    """Rows of a kind: how many, and the first ten of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, row: Taken, what: str) -> None:
        self.count += 1
        if len(self.first) < _FIRST:
            self.first.append(f"{row.file}:{row.line} {what}")


def gather(taken: Iterable[Taken], path: Path, progress: Callable[[int], None]) -> Gathered:
    """The first pass: writes the examples aside and keeps a few numbers of each row."""
    files: dict[str, int] = {}
    combinations: dict[tuple[str, ...], int] = {}
    groups: dict[str, int] = {}
    roles, labels, keys, known, readable = array("b"), array("i"), array("d"), array("d"), array("b")
    bad, late = _Noted(), _Noted()
    characters = 0
    signer, texts = Signer(), list[str]()
    with ExampleWriter(path) as writer:
        for row in taken:
            file = files.setdefault(row.file, len(files))
            writer.write(Kept(file, row.line, row.example, row.reason, row.changes, row.dropped))
            classes = () if row.example is None else row.example.classes
            roles.append(SPLITS.index(row.role))
            labels.append(combinations.setdefault(classes, len(combinations)) if classes else -1)
            keys.append(float(groups.setdefault(row.key, len(groups)) if isinstance(row.key, str) else row.key or 0.0))
            known.append(math.nan if row.known is None else row.known)
            readable.append(row.example is not None)
            texts.append("" if row.example is None else row.example.comparable)
            characters += len(texts[-1])
            if row.example is None and not row.dropped:
                bad.add(row, row.reason)
            if row.late:
                late.add(row, row.late)
            if len(texts) >= _BATCH or characters >= _BATCH_CHARACTERS:
                signer.add(texts)
                texts, characters = [], 0
                progress(len(roles))
        signer.add(texts)
        progress(len(roles))
    return Gathered(
        list(files),
        Examples(path),
        np.array(roles, np.int8),
        np.array(labels, np.int32),
        list(combinations),
        np.array(keys, np.float64),
        np.array(known, np.float64),
        np.array(readable, bool),
        signer.finish(),
        bad.count,
        bad.first,
        late.count,
        late.first,
    )


def decide(rows: Gathered, config: DataConfig) -> Decisions:
    """Labels, cleaning, splits, leaks and the limit, in this order.

    Raises:
        DataError: too many rows cannot be read.
    """
    made = Decisions(rows.roles.copy(), rows.readable.copy())
    if rows.late:
        listed = "\n".join(f"- {line}" for line in rows.first_late)
        made.notes.append(f"{rows.late} answers name a date after they were asked. The first:\n{listed}")
    made.labels = _labels(rows, config, made)
    _check_tolerance(rows, config, made)
    _clean(rows, config, made)
    _carve(rows, config, made)
    _stop_leaks(rows, made)
    if config.limit is not None:
        train = made.rows(TRAIN)
        for row in train[~limited(rows.labels[train], config.limit, config.split.seed)].tolist():
            made.drop(row, "over data.limit")
    _say_uneven(rows, made)
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
    total = len(rows.roles)
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


def _clean(rows: Gathered, config: DataConfig, made: Decisions) -> None:
    """Every step judges the training rows; in the user's own validation and test rows it only notes what it finds."""
    for step in load_steps(config):
        for split in (TRAIN, VALIDATION, TEST):
            judged = step.judge(RowSet(made.rows(split), rows.signatures, rows.labels, rows.text))
            for row, reason in judged.items():
                if split == TRAIN:
                    made.drop(row, reason)
                else:
                    made.flags[row] = reason


def _carve(rows: Gathered, config: DataConfig, made: Decisions) -> None:
    by = config.split.by.partition(":")[0]
    if by == "time":
        _drop(made, made.rows(TRAIN), outside(rows.keys[made.rows(TRAIN)], config.split))
    train = made.rows(TRAIN)
    keys = Keys(
        rows.labels[train],
        rows.keys[train].astype(np.int32) if by == "group" else None,
        rows.keys[train] if by == "time" else None,
    )
    codes, notes = carve(keys, config.split, test=not config.test, validation=not config.validation)
    made.splits[train] = codes
    made.notes += notes
    if by == "time" and (config.split.embargo or config.split.label_time):
        _drop(made, train, embargoed(rows.keys[train], rows.known[train], codes, config.split.embargo))


def _drop(made: Decisions, rows: NDArray[np.int64], reasons: Mapping[int, str]) -> None:
    """Drops some of the rows, by their positions."""
    for position, reason in reasons.items():
        made.drop(int(rows[position]), reason)


def _say_uneven(rows: Gathered, made: Decisions) -> None:
    """Names labels that are far from equally frequent among the training rows."""
    codes, counts = np.unique(rows.labels[made.rows(TRAIN)], return_counts=True)
    named = [
        (rows.combinations[code], count)
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True)
        if code >= 0
    ]
    if all(len(names) == 1 for names, _ in named):
        made.notes += uneven({names[0]: count for names, count in named})


def _stop_leaks(rows: Gathered, made: Decisions) -> None:
    """No training row says what a validation or test row says, no validation row what a test row says."""
    for split, lower in ((TEST, (TRAIN, VALIDATION)), (VALIDATION, (TRAIN,))):
        candidates = np.flatnonzero(made.alive & np.isin(made.splits, lower))
        leaks = find_leaks(rows.signatures, candidates, made.rows(split), LEAK_SIMILARITY, rows.text)
        for row, other in sorted(leaks.items()):
            same = rows.signatures.exact[row] == rows.signatures.exact[other]
            reason = f"{'duplicate' if same else 'near-duplicate'} of {SPLITS[split]} row {other}"
            if rows.roles[row] == TRAIN:
                made.drop(row, f"leak: {reason}")
            else:
                made.flags[row] = "; ".join(filter(None, (made.flags.get(row), reason)))
