"""Between the two passes: all rows have been seen once, and it is decided which are used for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from luthier.config import DataConfig
from luthier.data.cleaner import Cleaner
from luthier.data.gathering import Gathered
from luthier.data.imbalance import uneven_labels
from luthier.data.similarity import Signatures
from luthier.data.splits import SPLITS, TEST, TRAIN, VALIDATION, Keys, carve, find_leaks, limited
from luthier.data.timeline import embargoed, outside
from luthier.errors import DataError

LEAK_SIMILARITY = 0.8
"""Rows of two splits that overlap by as much (Jaccard similarity of 5-grams) leak."""

_FIRST = 10


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
    """Rows that belong together stay together: the first of them stands for all."""
    by = config.split.by.partition(":")[0]
    if by == "time":
        _drop(made, made.rows(TRAIN), outside(rows.keys[made.rows(TRAIN)], config.split))
    train = made.rows(TRAIN)
    train = train[~rows.generated[train]]  # what a model wrote is no test of another one
    _, firsts, family = np.unique(_together(rows, train, by), return_index=True, return_inverse=True)
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


def _together(rows: Gathered, train: NDArray[np.int64], by: str) -> NDArray[np.int64]:
    """A number for each row, equal for examples of one row of the input and, where neither a time nor a group decides,
    for chats that ask the same: apart, those in training would leak."""
    families = rows.families[train]
    if rows.signatures.asked is None or by in ("time", "group"):
        return families
    asked = rows.signatures.asked[train]
    _, firsts, same = np.unique(asked, return_index=True, return_inverse=True)
    _, members, sizes = np.unique(families, return_inverse=True, return_counts=True)
    alone = (sizes[members] == 1) & (asked != 0)
    return np.where(alone, families[firsts[same]], families)


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
            reason = resemblance(rows.signatures, row, other, split)
            if rows.roles[row] == TRAIN:
                made.drop(row, f"leak: {reason}")
            else:
                made.flag(row, reason)


def resemblance(signatures: Signatures, row: int, other: int, split: int) -> str:
    """What the ledger says of a row that repeats one of another split."""
    if signatures.exact[row] == signatures.exact[other]:
        how = "duplicate of"
    elif signatures.asked is not None and signatures.asked[row] and signatures.asked[row] == signatures.asked[other]:
        how = "asks the same as"
    else:
        how = "near-duplicate of"
    return f"{how} {SPLITS[split]} row {other}"
