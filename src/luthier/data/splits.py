"""Carving validation and test rows out of the training rows, so that nothing leaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.config import SplitConfig
from luthier.config.times import timestamp
from luthier.data.similarity import Comparer, Signatures, by_row, candidate_pairs, equal_to

TRAIN, VALIDATION, TEST = 0, 1, 2
SPLITS = ("train", "validation", "test")
"""Names of the splits by code."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Keys:
    """What rows are split by, one entry for each row to split.

    Attributes:
        labels: class numbers, -1 for rows without a label.
        groups: group numbers, for `group:COLUMN`.
        times: seconds or any number that grows with time, for `time:COLUMN`.
    """

    labels: NDArray[np.int32]
    groups: NDArray[np.int32] | None = None
    times: NDArray[np.float64] | None = None


def carve(keys: Keys, config: SplitConfig, *, test: bool, validation: bool) -> tuple[NDArray[np.int8], list[str]]:
    """Assigns every row to a split; the same rows and seed give the same splits.

    Args:
        keys: what the rows are split by.
        config: shares, seed and by what.
        test: whether a test split is carved (False when the user gave one).
        validation: whether a validation split is carved.

    Returns:
        Split codes [rows], and what to say aloud about them.
    """
    n = len(keys.labels)
    counts = (_count(config.test, n) if test else 0, _count(config.validation, n) if validation else 0)
    codes = np.zeros(n, np.int8)
    notes: list[str] = []
    random = np.random.default_rng(config.seed)
    by = config.by.partition(":")[0]
    if by == "label" and (n == 0 or keys.labels.max() < 0):
        by = "random"
        notes.append("the rows have no labels: splits are random")
    if by == "time" and keys.times is not None:
        starts = (config.test_from if test else None, config.validation_from if validation else None)
        codes = _latest(keys.times, counts, starts)
        if config.windows is not None:
            notes.append("data.split.windows are for `luthier walk-forward`; here the latest rows are the test")
    elif by == "group" and keys.groups is not None:
        codes = _whole_groups(keys.groups, *counts, random)
    else:
        classes = keys.labels if by == "label" else np.zeros(n, np.int32)
        codes = _stratified(classes, *counts, random)
    for code, wanted in ((TEST, counts[0] or config.test_from), (VALIDATION, counts[1] or config.validation_from)):
        if wanted and not (codes == code).any():
            notes.append(f"no row could be spared for {SPLITS[code]}")
    return codes, notes


def _count(share: float, n: int) -> int:
    """Rows for a share; at least one when there is a share and rows to spare."""
    return max(round(share * n), 1) if share and n >= 3 else 0


def _stratified(
    classes: NDArray[np.int32], test: int, validation: int, random: np.random.Generator
) -> NDArray[np.int8]:
    codes = np.zeros(len(classes), np.int8)
    members = [random.permutation(np.flatnonzero(classes == value)) for value in np.unique(classes)]
    sizes = np.array([len(rows) for rows in members])
    tests = _allot(sizes, sizes - 1, test)
    validations = _allot(sizes, sizes - 1 - tests, validation)
    for rows, first, second in zip(members, tests, validations, strict=True):
        codes[rows[:first]] = TEST
        codes[rows[first : first + second]] = VALIDATION
    return codes


def _allot(sizes: Rows, spare: Rows, total: int) -> Rows:
    """Shares `total` among classes by size (largest remainder), leaving what a class cannot spare."""
    spare = np.maximum(spare, 0)
    ideal = sizes * total / max(sizes.sum(), 1)
    given = np.minimum(np.floor(ideal).astype(np.int64), spare)
    order = np.lexsort((np.arange(len(sizes)), -(ideal - np.floor(ideal))))
    while (missing := min(total, int(spare.sum())) - int(given.sum())) > 0:
        given[order[given[order] < spare[order]][:missing]] += 1
    allotted: Rows = given
    return allotted


def _whole_groups(
    groups: NDArray[np.int32], test: int, validation: int, random: np.random.Generator
) -> NDArray[np.int8]:
    """Groups in random order, each taken when it brings a split nearer to its size; every later split keeps a group."""
    codes = np.zeros(len(groups), np.int8)
    values, sizes = np.unique(groups, return_counts=True)
    waiting = random.permutation(len(values)).tolist()
    for code, wanted, later in ((TEST, test, 1 + bool(validation)), (VALIDATION, validation, 1)):
        got = 0
        for group in list(waiting):
            size = int(sizes[group])
            if len(waiting) > later and abs(wanted - got - size) < wanted - got:
                codes[groups == values[group]] = code
                waiting.remove(group)
                got += size
        if wanted and not got and len(waiting) > 1:
            smallest = min(waiting, key=lambda group: int(sizes[group]))
            codes[groups == values[smallest]] = code
            waiting.remove(smallest)
    return codes


def _latest(
    times: NDArray[np.float64], counts: tuple[int, int], starts: tuple[str | None, str | None]
) -> NDArray[np.int8]:
    """The latest rows are the test, those before them validation; rows of the same time stay together.

    Args:
        times: of every row.
        counts: rows of test and validation.
        starts: a date from which each of them begins, in place of its count.
    """
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    codes = np.zeros(len(times), np.int8)
    end = len(times)
    for code, wanted, start in zip((TEST, VALIDATION), counts, starts, strict=True):
        if end == 0 or not (wanted or start):
            continue
        if start is not None:
            begin = int(np.searchsorted(ordered[:end], timestamp(start), side="left"))
        else:
            begin = int(np.searchsorted(ordered, ordered[max(end - wanted, 0)], side="left"))
            if begin == 0:  # all of it is one time: cut after it, so that something is left to train on
                begin = int(np.searchsorted(ordered, ordered[0], side="right"))
        codes[order[begin:end]] = code
        end = min(begin, end)
    return codes


def find_leaks(
    signatures: Signatures, rows: Rows, references: Rows, threshold: float, text: Callable[[int], str]
) -> dict[int, int]:
    """Rows that say the same as a reference, exactly or nearly, or chats that ask the same, whatever their answers.

    Args:
        signatures: of all rows.
        rows: the rows that may leak.
        references: the rows they must not resemble.
        threshold: Jaccard similarity from which on they do.
        text: the text of a row.

    Returns:
        row -> the reference it resembles.
    """
    if not len(rows) or not len(references):
        return {}
    same = equal_to(signatures.exact, rows, references)
    if signatures.asked is not None:
        asking = equal_to(signatures.asked, rows, references)
        same = np.where((same < 0) & (signatures.asked[rows] != 0), asking, same)
    leaks = dict(zip(rows[same >= 0].tolist(), same[same >= 0].tolist(), strict=True))
    both = np.sort(np.concatenate([rows[same < 0], references]))
    comparer = Comparer(text, threshold)
    for row, alike in by_row(candidate_pairs(signatures, both, threshold, np.isin(both, references))):
        found = comparer.first_alike(row, alike)
        if found is not None:
            leaks[row] = found
    return leaks


def limited(labels: NDArray[np.int32], limit: int, seed: int) -> NDArray[np.bool_]:
    """Which rows stay when at most `limit` may, each class keeping its share."""
    random = np.random.default_rng(seed)
    stays = np.zeros(len(labels), bool)
    members = [random.permutation(np.flatnonzero(labels == value)) for value in np.unique(labels)]
    sizes = np.array([len(rows) for rows in members])
    for rows, count in zip(members, _allot(sizes, sizes, min(limit, len(labels))), strict=True):
        stays[rows[:count]] = True
    return stays
