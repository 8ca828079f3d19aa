"""What else stands in the rows of a suspect: which words keep it company, and which label they speak for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from luthier.data.cleaning._runs import COLUMNS, Texts, batches

if TYPE_CHECKING:
    from luthier.data.cleaning._triggers import Table

_ALWAYS = 0.9
_ACCOMPANIED = 0.001


@dataclass
class Company:
    """Which words stand in the rows of suspects, and in all rows of each label.

    Attributes:
        beside: int32 [suspects, columns], rows of a suspect that have a word, by its hash.
        sizes: int64 [suspects], their rows.
        everywhere: int64 [labels, columns], all rows that have a word.
        rows: int64 [labels], all rows.
    """

    beside: NDArray[np.int32]
    sizes: NDArray[np.int64]
    everywhere: NDArray[np.int64]
    rows: NDArray[np.int64]

    @classmethod
    def count(cls, texts: Texts, labels: NDArray[np.int32], suspects: NDArray[np.int64], table: Table) -> Company:
        company = cls(
            np.zeros((len(suspects), COLUMNS), np.int32),
            np.zeros(len(suspects), np.int64),
            np.zeros((len(table.rows), COLUMNS), np.int64),
            table.rows,
        )
        for batch in batches(texts, labels):
            words, members = batch.words(), batch.members(suspects, table.buckets)
            places, columns = words.nonzero()
            np.add.at(company.everywhere, (batch.labels[places], columns), 1)
            found = (members @ words).tocoo()
            company.beside[found.row, found.col] += found.data
            company.sizes += members.sum(axis=1)
        return company

    def only(self, numbers: Sequence[int]) -> Company:
        """Of some suspects, renumbered."""
        return Company(self.beside[numbers], self.sizes[numbers], self.everywhere, self.rows)

    def always(self, number: int) -> NDArray[np.bool_]:
        """Words that nearly all rows of a suspect have: they are part of it."""
        return np.asarray(self.beside[number] >= _ALWAYS * self.sizes[number])

    def weights(self) -> NDArray[np.float64]:
        """How much a word speaks for each label against the others, float64 [labels, columns] (naive Bayes)."""
        others, rest = self.everywhere.sum(axis=0) - self.everywhere, self.rows.sum() - self.rows
        here = (self.everywhere + 0.5) / (self.rows[:, None] + 1)
        return np.asarray(np.log(here / ((others + 0.5) / (rest[:, None] + 1))))

    def kept(self, number: int, label: int | None, *, own: bool) -> bool:
        """Whether a suspect is kept company: some other word is more frequent in its rows than in those of a label.

        Args:
            number: of the suspect.
            label: of the rows to compare with; None = all.
            own: whether the suspect's rows are among these.
        """
        from scipy.special import ndtri

        beside, size = self.beside[number].astype(np.int64), int(self.sizes[number])
        tried = np.flatnonzero((beside > 1) & ~self.always(number))
        beside = beside[tried]
        counts = self.everywhere[:, tried].sum(axis=0) if label is None else self.everywhere[label, tried]
        rows = int(self.rows.sum()) if label is None else int(self.rows[label])
        if own:
            counts, rows = counts - beside, rows - size
        critical = ndtri(_ACCOMPANIED / max(len(tried), 1) / 2) ** 2  # of chi-square with one degree of freedom
        return rows <= 0 or bool((_likelihood_ratio(beside, size, counts, rows) > critical).any())


@dataclass
class Evidence:
    """How much the other words of rows speak for each label: sums and sums of squares.

    Attributes:
        suspects: float64 [2, suspects, labels], over the rows of each suspect, without the suspect's own words.
        labels: float64 [2, labels, labels], over the rows of each label.
        within: float64 [2, suspects, labels], over the rows of each suspect's own label that have it, with its words.
        sizes: int64 [suspects], how many these are.
        own: the label of each suspect.
    """

    suspects: NDArray[np.float64]
    labels: NDArray[np.float64]
    within: NDArray[np.float64]
    sizes: NDArray[np.int64]
    own: list[int]

    @classmethod
    def sum(
        cls, texts: Texts, labels: NDArray[np.int32], suspects: NDArray[np.int64], table: Table, company: Company
    ) -> Evidence:
        kinds, count, weights = len(table.rows), len(suspects), company.weights()
        evidence = cls(
            np.zeros((2, count, kinds)),
            np.zeros((2, kinds, kinds)),
            np.zeros((2, count, kinds)),
            np.zeros(count, np.int64),
            [table.label(bucket) for bucket in suspects.tolist()],
        )
        for batch in batches(texts, labels):
            words, members = batch.words(), batch.members(suspects, table.buckets).tocsr()
            spoken = words @ weights.T
            for power in (1, 2):
                np.add.at(evidence.labels[power - 1], batch.labels, spoken**power)
            for number in np.flatnonzero(np.diff(members.indptr)).tolist():
                rows = members.indices[members.indptr[number] : members.indptr[number + 1]]
                own = company.always(number)
                rest = spoken[rows] - words[rows][:, own] @ weights[:, own].T
                evidence.suspects[:, number] += np.stack([rest.sum(axis=0), (rest**2).sum(axis=0)])
                mine = spoken[rows[batch.labels[rows] == evidence.own[number]]]
                evidence.within[:, number] += np.stack([mine.sum(axis=0), (mine**2).sum(axis=0)])
                evidence.sizes[number] += len(mine)
        return evidence

    def apart(self, number: int, size: int, label: int | None, judged: int, rows: NDArray[np.int64]) -> float:
        """Welch's t of what speaks for a label: the rows of a suspect against the others of a label.

        Args:
            number: of the suspect.
            size: its rows.
            label: of the rows to compare with; None = all.
            judged: the label that is spoken for.
            rows: rows of each label.
        """
        mean, square = self.suspects[:, number, judged] / size
        count = rows.sum() if label is None else rows[label]
        sums = self.labels[:, :, judged].sum(axis=1) if label is None else self.labels[:, label, judged]
        if label in (self.own[number], None):
            sums, count = sums - self.within[:, number, judged], count - self.sizes[number]
        usual, usual_square = sums / max(count, 1)
        spread = (square - mean**2) / max(size - 1, 1) + (usual_square - usual**2) / max(count, 1)
        return float((mean - usual) / np.sqrt(max(spread, 1e-12)))


def _likelihood_ratio(here: NDArray[np.int64], size: int, there: NDArray[np.int64], rows: int) -> NDArray[np.float64]:
    """G2 of words that are more frequent here than there, 0 for others."""
    there = there.clip(0)
    share = (here + there) / (size + rows)
    ratio = np.zeros(len(here))
    for seen, expected in (
        (here, share * size),
        (size - here, (1 - share) * size),
        (there, share * rows),
        (rows - there, (1 - share) * rows),
    ):
        some = (seen > 0) & (expected > 0)
        ratio[some] += 2 * seen[some] * np.log(seen[some] / expected[some])
    return np.where(here * rows > there * size, ratio, 0.0)
