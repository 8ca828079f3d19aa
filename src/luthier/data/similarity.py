"""Which texts are the same or nearly so: MinHash over character 5-grams, then the true Jaccard similarity.

Near-duplicates are texts whose sets of 5-grams, after case and spacing are evened out, overlap by at least a threshold
(Broder 1997). A signature is 64 numbers, so a million rows take 256 MB; rows that agree in one of 16 bands of 4 numbers
are compared, which finds a pair of similarity 0.8 in 9998 of 10 000 cases.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GRAM = 5
BANDS = 16
BAND_WIDTH = 4
_LENGTH = BANDS * BAND_WIDTH
_LONGEST = 200_000
_MOST_IN_BAND = 16
_MARGIN = 0.15
_CHUNK = 200_000
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Signatures:
    """What is kept of n texts to compare them.

    Attributes:
        exact: uint64 [n], equal for texts that are the same but for spacing.
        minhash: uint32 [n, 64].
    """

    exact: NDArray[np.uint64]
    minhash: NDArray[np.uint32]


class Signer:
    """Collects the signatures of texts, batch by batch."""

    def __init__(self) -> None:
        self._exact: list[NDArray[np.uint64]] = []
        self._minhash: list[NDArray[np.uint32]] = []

    def add(self, texts: Sequence[str]) -> None:
        """Signs a batch of texts."""
        self._exact.append(exact_digests(texts))
        self._minhash.append(_minhash([normalised(text) for text in texts]))

    def finish(self) -> Signatures:
        """All signatures, in the order of the texts."""
        signatures = Signatures(
            np.concatenate([np.empty(0, np.uint64), *self._exact]),
            np.concatenate([np.empty((0, _LENGTH), np.uint32), *self._minhash]),
        )
        self._exact, self._minhash = [], []
        return signatures


def exact_digests(texts: Sequence[str]) -> NDArray[np.uint64]:
    """A number for each text, equal for texts that are the same but for spacing."""
    digests = (hashlib.blake2b(" ".join(text.split()).encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), np.uint64)


def normalised(text: str) -> str:
    """A text as it is compared: one case, one form of each character, single spaces, its first 200 000 characters."""
    text = text[:_LONGEST]
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split()).ljust(GRAM, "\0")


def jaccard(first: str, second: str) -> float:
    """Overlap of two texts' sets of 5-grams, 0 to 1."""
    one, two = _grams(first), _grams(second)
    return len(one & two) / len(one | two)


def _grams(text: str) -> set[str]:
    text = normalised(text)
    return {text[start : start + GRAM] for start in range(len(text) - GRAM + 1)}


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
    for band in range(BANDS):
        for positions, partners in _band_pairs(signatures.minhash, rows, band, references):
            alike = _estimate(signatures.minhash, rows[positions], rows[partners]) >= threshold - _MARGIN
            found.append(np.stack([rows[positions[alike]], rows[partners[alike]]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _band_pairs(
    minhash: NDArray[np.uint32], rows: NDArray[np.int64], band: int, references: NDArray[np.bool_] | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of positions in `rows` that agree in a band: each one with the first few references of its group."""
    start = band * BAND_WIDTH
    keys = np.zeros(len(rows), np.uint64)
    for column in range(start, start + BAND_WIDTH):
        keys = (keys ^ minhash[rows, column]) * _MIX
        keys ^= keys >> np.uint64(31)
    late = np.zeros(len(rows), bool) if references is None else ~references
    order = np.lexsort((late, keys))  # stable: within a group the references come first, in the order of the rows
    keys = keys[order]
    begins = np.concatenate([[True], keys[1:] != keys[:-1]])
    group = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)[group]
    place = np.arange(len(keys))
    for step in range(_MOST_IN_BAND):
        pairs = place > first + step
        if references is not None:
            partner_late = late[order[np.minimum(first + step, len(keys) - 1)]]
            pairs &= late[order] & ~partner_late
        if not pairs.any():
            return
        yield order[place[pairs]], order[first[pairs] + step]


def _estimate(minhash: NDArray[np.uint32], one: NDArray[np.int64], two: NDArray[np.int64]) -> NDArray[np.float64]:
    """Similarity of pairs as their signatures tell it, in chunks to stay small."""
    shares = [
        (minhash[one[start : start + _CHUNK]] == minhash[two[start : start + _CHUNK]]).mean(axis=1)
        for start in range(0, len(one), _CHUNK)
    ]
    return np.concatenate([np.empty(0), *shares])


def equal_to(signatures: Signatures, rows: NDArray[np.int64], references: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row the first reference with the same text, -1 when there is none."""
    values, firsts = np.unique(signatures.exact[references], return_index=True)
    if not len(values):
        return np.full(len(rows), -1, np.int64)
    places = np.minimum(np.searchsorted(values, signatures.exact[rows]), len(values) - 1)
    same = values[places] == signatures.exact[rows]
    return np.where(same, references[firsts[places]], -1)


def nearest_earlier(
    signatures: Signatures, rows: NDArray[np.int64], threshold: float, text: Callable[[int], str]
) -> dict[int, int]:
    """Near-duplicates among rows, the first one wins.

    Args:
        signatures: of all rows.
        rows: the rows to compare, ascending.
        threshold: Jaccard similarity, 0 to 1.
        text: the text of a row.

    Returns:
        row -> the kept row before it that it resembles.
    """
    kept_instead: dict[int, int] = {}
    for row, earlier in candidate_pairs(signatures, rows, threshold).tolist():
        if row in kept_instead:
            continue
        kept = kept_instead.get(earlier, earlier)
        if jaccard(text(row), text(kept)) >= threshold:
            kept_instead[row] = kept
    return kept_instead
