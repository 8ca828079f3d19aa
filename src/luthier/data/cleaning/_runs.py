"""Rows as hashed words and runs of words, many at once."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLUMNS = 1 << 14
"""Words are told apart by so many hashes."""

_RUN = 3
_BATCH = 5000
_MIX = np.uint64(0x9E3779B97F4A7C15)
_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]{2,}")

Texts = Callable[[], Iterator[tuple[int, str]]]
"""Streams (row id, text), the same ones whenever it is called."""


def words_of(text: str) -> list[str]:
    """Words without case, and runs of marks: a trigger may be either."""
    return _WORDS.findall(unicodedata.normalize("NFKC", text).casefold())


@dataclass
class Rows:
    """Some rows at once.

    Attributes:
        ids: ids of the rows.
        labels: int32 [rows].
        texts: their texts.
        hashes: uint64 [words], all words of all rows.
        owners: int64 [words], place of the row that each stands in.
    """

    ids: list[int]
    labels: NDArray[np.int32]
    texts: list[str]
    hashes: NDArray[np.uint64]
    owners: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, str]], labels: NDArray[np.int32]) -> Rows:
        """Rows as (id, text)."""
        ids, words = [row_id for row_id, _ in rows], [words_of(text) for _, text in rows]
        hashes = np.array([zlib.crc32(word.encode()) for row in words for word in row], np.uint64)
        owners = np.repeat(np.arange(len(rows)), [len(row) for row in words])
        return cls(ids, labels[ids], [text for _, text in rows], hashes * _MIX, owners)

    def runs(self, buckets: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every run of one to three words as (place of its row, bucket), each once a row, ascending."""
        found = []
        keys = np.zeros(len(self.hashes), np.uint64)
        for length in range(1, _RUN + 1):
            size = max(len(self.hashes) - length + 1, 0)
            keys = (keys[:size] + self.hashes[length - 1 :][:size] + np.uint64(length)) * _MIX
            keys ^= keys >> np.uint64(29)
            inside = self.owners[:size] == self.owners[length - 1 :][:size]
            found.append(self.owners[:size][inside] * buckets + (keys[inside] % np.uint64(buckets)).astype(np.int64))
        both = np.unique(np.concatenate(found))
        return both // buckets, both % buckets

    def words(self) -> Any:
        """Which words stand in which row, as a sparse matrix of ones [rows, columns]."""
        both = np.unique(self.owners * COLUMNS + (self.hashes % np.uint64(COLUMNS)).astype(np.int64))
        return _ones(both // COLUMNS, both % COLUMNS, (len(self.ids), COLUMNS))

    def members(self, suspects: NDArray[np.int64], buckets: int) -> Any:
        """Which suspect stands in which row, as a sparse matrix of ones [suspects, rows]."""
        owners, numbers = self.suspected(suspects, buckets)
        return _ones(numbers, owners, (len(suspects), len(self.ids)))

    def suspected(self, suspects: NDArray[np.int64], buckets: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(Place of a row, number of the suspect in it)."""
        places, keys = self.runs(buckets)
        numbers = np.minimum(np.searchsorted(suspects, keys), len(suspects) - 1)
        hit = suspects[numbers] == keys
        return places[hit], numbers[hit]


def batches(texts: Texts, labels: NDArray[np.int32]) -> Iterator[Rows]:
    """Rows that have a label, some at a time."""
    labelled = ((row_id, text) for row_id, text in texts() if labels[row_id] >= 0)
    while batch := list(islice(labelled, _BATCH)):
        yield Rows.of(batch, labels)


def _ones(rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]) -> Any:
    from scipy.sparse import csr_array

    return csr_array((np.ones(len(rows), np.int32), (rows, columns)), shape=shape)
