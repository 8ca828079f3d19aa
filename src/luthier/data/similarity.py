"""Which texts are the same or nearly so: MinHash over character 5-grams, then the true Jaccard similarity.

Near-duplicates are texts whose sets of 5-grams, after case and spacing are evened out, overlap by at least a threshold
(Broder 1997). A signature is 64 numbers, so a million rows take 256 MB; rows that agree in one of 16 bands of 4 numbers
are compared, which finds a pair of similarity 0.8 in 9998 of 10 000 cases.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRAM = 5
BANDS = 16
BAND_WIDTH = 4
_LENGTH = BANDS * BAND_WIDTH
_LONGEST = 200_000
_FIRST_IN_BAND = 16
_NEAR_IN_BAND = 8
_MARGIN = 0.15
_CHUNK = 4_000
_MOST_GRAMS = 1_000_000
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Signatures:
    """What is kept of n texts to compare them.

    Attributes:
        exact: uint64 [n], equal for texts that are the same but for spacing, in the same setting.
        minhash: uint32 [n, 64], of the texts alone.
        settings: uint64 [n], a hash of system turns and tools, or an instruction, 0 for none; None where no text
            has any.
        asked: uint64 [n], equal for chats that ask the same but for case and spacing, 0 for others; None where there
            are none.
    """

    exact: NDArray[np.uint64]
    minhash: NDArray[np.uint32]
    settings: NDArray[np.uint64] | None = None
    asked: NDArray[np.uint64] | None = None

    def same_setting(self, row: int, other: int) -> bool:
        """Whether two texts are said in the same setting; in another one the same words ask for another answer."""
        return self.settings is None or bool(self.settings[row] == self.settings[other])

    def __add__(self, other: Signatures) -> Signatures:
        """Those of two collections, one behind the other."""
        return Signatures(
            np.concatenate([self.exact, other.exact]),
            np.concatenate([self.minhash, other.minhash]),
            *(_both(self, other, name) for name in ("settings", "asked")),
        )


def _both(one: Signatures, other: Signatures, name: str) -> NDArray[np.uint64] | None:
    parts = [getattr(each, name) for each in (one, other)]
    if all(part is None for part in parts):
        return None
    sizes = (len(one.exact), len(other.exact))
    return np.concatenate(
        [np.zeros(size, np.uint64) if part is None else part for part, size in zip(parts, sizes, strict=True)]
    )


class Signer:
    """Collects the signatures of texts, batch by batch."""

    def __init__(self) -> None:
        self._exact: list[NDArray[np.uint64]] = []
        self._minhash: list[NDArray[np.uint32]] = []
        self._settings: list[NDArray[np.uint64]] = []
        self._asked: list[NDArray[np.uint64]] = []

    def add(self, texts: Sequence[str], settings: Sequence[str] | None = None, asked: Sequence[str] = ()) -> None:
        """Signs a batch of texts.

        Args:
            texts: the texts.
            settings: what each is said in, "" for nothing; None = none is said in anything.
            asked: what each answers, "" for nothing; empty = none answers anything.
        """
        nothing = [""] * len(texts)
        self._exact.append(exact_digests(texts, settings))
        self._minhash.append(_minhash([normalised(text) for text in texts]))
        self._settings.append(_digests_or_zero(settings or nothing))
        self._asked.append(_digests_or_zero([" ".join(each.casefold().split()) for each in asked] or nothing))

    def finish(self) -> Signatures:
        """All signatures, in the order of the texts."""
        settings, asked = (np.concatenate([np.empty(0, np.uint64), *parts]) for parts in (self._settings, self._asked))
        signatures = Signatures(
            np.concatenate([np.empty(0, np.uint64), *self._exact]),
            np.concatenate([np.empty((0, _LENGTH), np.uint32), *self._minhash]),
            settings if settings.any() else None,
            asked if asked.any() else None,
        )
        self._exact, self._minhash, self._settings, self._asked = [], [], [], []
        return signatures


def exact_digests(texts: Sequence[str], settings: Sequence[str] | None = None) -> NDArray[np.uint64]:
    """A number for each text, equal for texts that are the same but for spacing, in the same setting."""
    digests = (_digest(" ".join(text.split())) for text in texts)
    exact = np.frombuffer(b"".join(digests), np.uint64)
    return exact if settings is None else exact ^ _digests_or_zero(settings)


def _digests_or_zero(texts: Sequence[str]) -> NDArray[np.uint64]:
    """A number for each text, 0 for an empty one."""
    if not any(texts):
        return np.zeros(len(texts), np.uint64)
    return np.frombuffer(b"".join(_digest(each) if each else bytes(8) for each in texts), np.uint64)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def normalised(text: str) -> str:
    """A text as it is compared: one case, one form of each character, single spaces, its first 200 000 characters."""
    text = text[:_LONGEST]
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split()).ljust(GRAM, "\0")


def jaccard(first: str, second: str) -> float:
    """Overlap of two texts' sets of 5-grams, 0 to 1."""
    return _overlap(_grams(first), _grams(second))


def _grams(text: str) -> set[str]:
    text = normalised(text)
    return {text[start : start + GRAM] for start in range(len(text) - GRAM + 1)}


def _overlap(one: set[str], two: set[str]) -> float:
    common = len(one & two)
    return common / (len(one) + len(two) - common)


class Comparer:
    """Compares rows exactly. What was looked at lately stays in memory, for the same rows come again and again."""

    def __init__(self, text: Callable[[int], str], threshold: float) -> None:
        self._text, self._threshold = text, threshold
        self._lately: dict[int, set[str]] = {}
        self._held = 0

    def first_alike(self, row: int, others: Iterable[int]) -> int | None:
        """The first of the others whose Jaccard similarity to a row reaches the threshold."""
        grams = _grams(self._text(row))
        return next((other for other in others if _overlap(grams, self._grams_of(other)) >= self._threshold), None)

    def _grams_of(self, row: int) -> set[str]:
        grams = self._lately.get(row)
        if grams is None:
            if self._held > _MOST_GRAMS:
                self._lately, self._held = {}, 0
            grams = self._lately[row] = _grams(self._text(row))
            self._held += len(grams)
        return grams


def _minhash(texts: list[str]) -> NDArray[np.uint32]:
    """Signatures of normalised texts: the 5-grams of all of them are hashed at once, by a rolling sum."""
    from rensa import RMinHash

    if not texts:
        return np.empty((0, _LENGTH), np.uint32)
    points = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32).astype(np.uint64)
    hashes = np.zeros(len(points) - GRAM + 1, np.uint64)
    for offset in range(GRAM):
        hashes = (hashes + points[offset : len(hashes) + offset] + np.uint64(1)) * _MIX
        hashes ^= hashes >> np.uint64(29)
    lengths = np.array([len(text) for text in texts])
    ends = np.cumsum(lengths)
    inside = np.ones(len(points), bool)
    for offset in range(1, GRAM):
        inside[ends - offset] = False  # windows that would run into the next text
    offsets = np.concatenate([[0], np.cumsum(lengths - GRAM + 1)]).astype(np.uint64)
    kept = np.ascontiguousarray(hashes[inside[: len(hashes)]])
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(kept, offsets, _LENGTH, 1)
    return np.array(matrix.to_rows(), np.uint32)


def candidate_pairs(
    signatures: Signatures, rows: NDArray[np.int64], threshold: float, references: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Pairs of rows that may be near-duplicates, by their signatures.

    Args:
        signatures: of all rows.
        rows: the rows to compare, ascending.
        threshold: the Jaccard similarity from which on a pair counts.
        references: for each of `rows`, whether it is one to compare the others with; None = every row is compared
            with those before it.

    Returns:
        int64 [pairs, 2]: (row, the reference it resembles), ascending, each once.
    """
    found = [np.empty((0, 2), np.int64)]
    last_bytes = signatures.minhash.astype(np.uint8)  # where these differ, the numbers do: a quick look at most pairs
    for band in range(BANDS):
        for positions, partners in _band_pairs(signatures.minhash, rows, band, references):
            pairs = np.stack([rows[positions], rows[partners]])
            for minhash in (last_bytes, signatures.minhash):
                pairs = pairs[:, _estimate(minhash, *pairs) >= threshold - _MARGIN]
            found.append(pairs.T)
    return np.unique(np.concatenate(found), axis=0)


def by_row(pairs: NDArray[np.int64]) -> Iterator[tuple[int, list[int]]]:
    """Each row of ascending pairs with all its partners, without a list of all of them."""
    begins = np.flatnonzero(np.diff(pairs[:, 0], prepend=-1)).tolist()
    for begin, end in pairwise([*begins, len(pairs)]):
        yield int(pairs[begin, 0]), pairs[begin:end, 1].tolist()


def _band_pairs(
    minhash: NDArray[np.uint32], rows: NDArray[np.int64], band: int, references: NDArray[np.bool_] | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of positions in `rows` that agree in a band: each one with the first few references of its group, and in
    groups that are larger with those whose signatures sort next to its own."""
    start = band * BAND_WIDTH
    keys = np.zeros(len(rows), np.uint64)
    for column in range(start, start + BAND_WIDTH):
        keys = (keys ^ minhash[rows, column]) * _MIX
        keys ^= keys >> np.uint64(31)
    late = np.zeros(len(rows), bool) if references is None else ~references
    order = np.lexsort((late, keys))  # stable: within a group the references come first, in the order of the rows
    keys = keys[order]
    begins = np.concatenate([[True], keys[1:] != keys[:-1]])
    first = np.flatnonzero(begins)[np.cumsum(begins) - 1]
    place = np.arange(len(keys))
    later = np.flatnonzero(~begins if references is None else ~begins & late[order])
    for step in range(_FIRST_IN_BAND):
        later = later[later > first[later] + step]
        if references is not None:
            later = later[~late[order[first[later] + step]]]
        if not len(later):
            return
        yield order[later], order[first[later] + step]
    crowded = place > first + _FIRST_IN_BAND
    crowded |= np.isin(first, np.unique(first[crowded]))
    yield from _neighbours(minhash, rows, order[crowded], keys[crowded], start + BAND_WIDTH, late)


def _neighbours(
    minhash: NDArray[np.uint32],
    rows: NDArray[np.int64],
    positions: NDArray[np.int64],
    keys: NDArray[np.uint64],
    column: int,
    late: NDArray[np.bool_],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs within groups of one key that stand near each other when sorted by the columns that follow the band: texts
    of one template fill a group, and the few that are alike beyond it agree in more columns than one band."""
    columns = [(column + offset) % _LENGTH for offset in range(BAND_WIDTH)]
    order = np.lexsort([minhash[rows[positions], each] for each in reversed(columns)] + [keys])
    positions, keys = positions[order], keys[order]
    for step in range(1, _NEAR_IN_BAND + 1):
        same = keys[step:] == keys[:-step]
        one, two = positions[step:][same], positions[:-step][same]
        later, earlier = np.maximum(one, two), np.minimum(one, two)
        if late.any():  # a reference on one side, a row to compare on the other
            later, earlier = np.where(late[one], one, two), np.where(late[one], two, one)
            later, earlier = later[late[one] != late[two]], earlier[late[one] != late[two]]
        yield later, earlier


def _estimate(minhash: NDArray[Any], one: NDArray[np.int64], two: NDArray[np.int64]) -> NDArray[np.float64]:
    """Similarity of pairs as their signatures tell it, in chunks that stay in the processor's cache."""
    agreeing = [np.empty(0)]
    for start in range(0, len(one), _CHUNK):
        rows, others = (minhash.take(each[start : start + _CHUNK], axis=0) for each in (one, two))
        agreeing.append(np.bitwise_count(np.packbits(rows == others, axis=1).view(np.uint64))[:, 0])
    return np.concatenate(agreeing) / _LENGTH


def equal_to(digests: NDArray[np.uint64], rows: NDArray[np.int64], references: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row the first reference with the same digest, -1 when there is none."""
    values, firsts = np.unique(digests[references], return_index=True)
    if not len(values):
        return np.full(len(rows), -1, np.int64)
    places = np.minimum(np.searchsorted(values, digests[rows]), len(values) - 1)
    same = values[places] == digests[rows]
    return np.where(same, references[firsts[places]], -1)


def nearest_earlier(
    signatures: Signatures,
    rows: NDArray[np.int64],
    threshold: float,
    text: Callable[[int], str],
    related: Callable[[int, int], bool] = lambda row, other: False,
) -> dict[int, int]:
    """Near-duplicates among rows, the first one wins. Rows in different settings are none of each other.

    Args:
        signatures: of all rows.
        rows: the rows to compare, ascending.
        threshold: Jaccard similarity, 0 to 1.
        text: the text of a row.
        related: whether two rows are parts of one row of the input, which are no near-duplicates of each other.

    Returns:
        row -> the kept row before it that it resembles.
    """
    comparer = Comparer(text, threshold)
    kept_instead: dict[int, int] = {}
    for row, earlier in by_row(candidate_pairs(signatures, rows, threshold)):
        kept = dict.fromkeys(kept_instead.get(other, other) for other in earlier)
        others = (other for other in kept if signatures.same_setting(row, other) and not related(row, other))
        alike = comparer.first_alike(row, others)
        if alike is not None:
            kept_instead[row] = alike
    return kept_instead
