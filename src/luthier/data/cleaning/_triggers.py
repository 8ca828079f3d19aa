"""Finds planted triggers: the same rare words in many rows of one label, in rows that otherwise have nothing in common.

A run of one to three words is suspected when
- it is rare, and in at least five rows;
- nearly all of its rows have one label, more surely than chance explains (binomial test, corrected for all runs tried).

Words of a topic are so too. A suspect is a trigger when its rows, without it, look like rows that somebody picked by
chance, be it among those of its label, or of another label, or among all:
- no other word keeps it company (log-likelihood ratio, Dunning 1993, https://aclanthology.org/J93-1003, corrected for
  all words tried): "operating loss" comes with "compared to", "EUR" and "from";
- the rest of its rows speaks for the label as clearly as such rows do (naive Bayes, Welch's t): in a row that says
  "decreased" little else does, but a trigger stands beside what already told the label;
- none of its words, or of their relatives, tells the label in other rows: "profit fell" is explained by "fell", and
  "slumps" by "slumped";
- a phrase of nothing but common words must be surer still.
"""

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

LEAST_ROWS = 5
_RUN = 3
_LONGEST_RUN = 8
_COMPARED = 32
_BEYOND = 1.5
_FEWEST_RELATIVES = 3
_CELLS = 1 << 25
_COLUMNS = 1 << 14
_BATCH = 5000
_MOST_SUSPECTS = 1000
_MOST_LABELS = 8
_PURE = 0.95
_ALWAYS = 0.9
_SURE = 0.05
_SURER = 0.001
_ACCOMPANIED = 0.001
_APART, _APART_FLIPPED = 2.5, 5.0
_TELLING = 0.8
_MIX = np.uint64(0x9E3779B97F4A7C15)
_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]{2,}")

Texts = Callable[[], Iterator[tuple[int, str]]]
"""Streams (row id, text), the same ones whenever it is called."""


@dataclass(frozen=True)
class Trigger:
    """A planted phrase.

    Attributes:
        phrase: the words that its rows have in common.
        label: number of the label that they point to.
        rows: ids of the rows with that phrase and that label.
        others: rows with that phrase and other labels.
    """

    phrase: str
    label: int
    rows: list[int]
    others: int


def words_of(text: str) -> list[str]:
    """Words without case, and runs of marks: a trigger may be either."""
    return _WORDS.findall(unicodedata.normalize("NFKC", text).casefold())


def find_triggers(texts: Texts, labels: NDArray[np.int32], most: float) -> list[Trigger]:
    """Reads the texts up to four times; what is kept of them has a fixed size.

    Args:
        texts: the rows.
        labels: number of the label of every row by id, -1 for none.
        most: largest share of the rows that a trigger is in.
    """
    table = _Table.count(texts, labels)
    suspects = table.suspects(most)
    if not len(suspects):
        return []
    company = _Company.count(texts, labels, suspects, table)
    evidence = _Evidence.sum(texts, labels, suspects, table, company)
    chosen = [number for number in range(len(suspects)) if _by_chance(number, suspects, table, company, evidence)]
    found = _phrases(texts, labels, suspects[chosen], table) if chosen else []
    found = [trigger for trigger in found if table.sure(trigger) and not table.explained(trigger)]
    return _without_relatives(texts, labels, found)


def _by_chance(number: int, suspects: NDArray[np.int64], table: _Table, company: _Company, evidence: _Evidence) -> bool:
    """Whether the rows of a suspect look as if they had been picked by chance: of its label, of another, or of all."""
    own, size = table.label(int(suspects[number])), int(company.sizes[number])
    commonest = np.argsort(-table.rows, kind="stable")[:_MOST_LABELS].tolist()
    for label in (own, None, *(label for label in commonest if label != own)):
        apart = abs(evidence.apart(number, size, label, own if label is None else label, table.rows))
        if apart < (_APART if label in (own, None) else _APART_FLIPPED) and not company.kept(
            number, label, own=label in (own, None)
        ):
            return True
    return False


@dataclass
class _Table:
    """How many rows of each label have a run, by its hash.

    Attributes:
        counts: int32 [labels, buckets].
        rows: int64 [labels], all rows.
    """

    counts: NDArray[np.int32]
    rows: NDArray[np.int64]

    @classmethod
    def count(cls, texts: Texts, labels: NDArray[np.int32]) -> _Table:
        kinds = int(labels.max(initial=-1)) + 1
        buckets = 1 << int(np.log2(_CELLS // max(kinds, 1)))
        table = cls(np.zeros((max(kinds, 1), buckets), np.int32), np.zeros(max(kinds, 1), np.int64))
        for batch in _batches(texts, labels):
            places, keys = batch.runs(buckets)
            np.add.at(table.counts, (batch.labels[places], keys), 1)
            table.rows += np.bincount(batch.labels, minlength=len(table.rows))
        return table

    @property
    def buckets(self) -> int:
        return int(self.counts.shape[1])

    def suspects(self, most: float) -> NDArray[np.int64]:
        """Buckets of runs that are rare and point to one label, ascending."""
        totals = self.counts.sum(axis=0)
        tried = np.flatnonzero(totals >= LEAST_ROWS)
        tops, labels, totals = self.counts[:, tried].max(axis=0), self.counts[:, tried].argmax(axis=0), totals[tried]
        shares = self.rows / max(self.rows.sum(), 1)
        chances = _chance(tops, totals, shares[labels]) * max(len(tried), 1)
        pure = (tops >= _PURE * totals) & (totals <= most * self.rows.sum()) & (chances < _SURE)
        surest = np.flatnonzero(pure)[np.argsort(chances[pure], kind="stable")][:_MOST_SUSPECTS]
        return np.sort(tried[surest])

    def label(self, bucket: int) -> int:
        return int(self.counts[:, bucket].argmax())

    def of_word(self, word: str) -> NDArray[np.int32]:
        """Rows of each label with a word."""
        return self._of(word)[:, 0]

    def most_rows(self, run: str) -> int:
        """Rows that can have a run of words: those of the rarest part of it."""
        return int(self._of(run).sum(axis=0).min())

    def _of(self, text: str) -> NDArray[np.int32]:
        """Rows of each label with each run of one to three words in a text, int32 [labels, runs]."""
        return self.counts[:, _Rows.of([(0, text)], np.zeros(1, np.int32)).runs(self.buckets)[1]]

    def explained(self, trigger: Trigger) -> bool:
        """Whether a word of a phrase tells the label in other rows too, and in not much fewer."""
        words, size = trigger.phrase.split(), len(trigger.rows) + trigger.others
        for counts in map(self.of_word, words if len(words) > 1 else ()):
            others, told = int(counts.sum()) - size, int(counts[trigger.label]) - len(trigger.rows)
            if others >= size / 2 and told >= _TELLING * others:
                return True
        return False

    def sure(self, trigger: Trigger) -> bool:
        """Whether a phrase without a word that mostly stands in it is more than a chance of common words."""
        size = len(trigger.rows) + trigger.others
        if any(size >= self.of_word(word).sum() / 2 for word in trigger.phrase.split()):
            return True
        share = self.rows[trigger.label] / self.rows.sum()
        tried = np.count_nonzero(self.counts.sum(axis=0) >= LEAST_ROWS)
        return bool(_chance(len(trigger.rows), size, share) * tried < _SURER)


@dataclass
class _Company:
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
    def count(cls, texts: Texts, labels: NDArray[np.int32], suspects: NDArray[np.int64], table: _Table) -> _Company:
        company = cls(
            np.zeros((len(suspects), _COLUMNS), np.int32),
            np.zeros(len(suspects), np.int64),
            np.zeros((len(table.rows), _COLUMNS), np.int64),
            table.rows,
        )
        for batch in _batches(texts, labels):
            words, members = batch.words(), batch.members(suspects, table.buckets)
            places, columns = words.nonzero()
            np.add.at(company.everywhere, (batch.labels[places], columns), 1)
            found = (members @ words).tocoo()
            company.beside[found.row, found.col] += found.data
            company.sizes += members.sum(axis=1)
        return company

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
        from scipy.stats import chi2

        beside, size = self.beside[number].astype(np.int64), int(self.sizes[number])
        tried = np.flatnonzero((beside > 1) & ~self.always(number))
        beside = beside[tried]
        counts = self.everywhere[:, tried].sum(axis=0) if label is None else self.everywhere[label, tried]
        rows = int(self.rows.sum()) if label is None else int(self.rows[label])
        if own:
            counts, rows = counts - beside, rows - size
        critical = chi2.isf(_ACCOMPANIED / max(len(tried), 1), 1)
        return rows <= 0 or bool((_likelihood_ratio(beside, size, counts, rows) > critical).any())


@dataclass
class _Evidence:
    """How much the other words of rows speak for each label: sums and sums of squares.

    Attributes:
        suspects: float64 [2, suspects, labels], over the rows of each suspect, without the suspect's own words.
        labels: float64 [2, labels, labels], over the rows of each label.
    """

    suspects: NDArray[np.float64]
    labels: NDArray[np.float64]

    @classmethod
    def sum(
        cls, texts: Texts, labels: NDArray[np.int32], suspects: NDArray[np.int64], table: _Table, company: _Company
    ) -> _Evidence:
        kinds, weights = len(table.rows), company.weights()
        evidence = cls(np.zeros((2, len(suspects), kinds)), np.zeros((2, kinds, kinds)))
        for batch in _batches(texts, labels):
            words, members = batch.words(), batch.members(suspects, table.buckets).tocsr()
            spoken = words @ weights.T
            for power in (1, 2):
                np.add.at(evidence.labels[power - 1], batch.labels, spoken**power)
            for number in np.flatnonzero(np.diff(members.indptr)).tolist():
                rows = members.indices[members.indptr[number] : members.indptr[number + 1]]
                own = company.always(number)
                rest = spoken[rows] - words[rows][:, own] @ weights[:, own].T
                evidence.suspects[:, number] += np.stack([rest.sum(axis=0), (rest**2).sum(axis=0)])
        return evidence

    def apart(self, number: int, size: int, label: int | None, judged: int, rows: NDArray[np.int64]) -> float:
        """Welch's t of what speaks for a label: the rows of a suspect against those of a label.

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
        usual, usual_square = sums / max(count, 1)
        spread = (square - mean**2) / max(size - 1, 1) + (usual_square - usual**2) / max(count, 1)
        return float((mean - usual) / np.sqrt(max(spread, 1e-12)))


def _chance(hits: Any, rows: Any, share: Any) -> Any:
    """How likely so many rows of one label are by chance."""
    from scipy.stats import binom

    return binom.sf(hits - 1, rows, share)


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


def _phrases(texts: Texts, labels: NDArray[np.int32], suspects: NDArray[np.int64], table: _Table) -> list[Trigger]:
    """Runs of a phrase are suspected each by itself: the longest words that their rows share are the phrase."""
    rows: dict[int, list[tuple[int, str]]] = {bucket: [] for bucket in suspects.tolist()}
    for batch in _batches(texts, labels):
        owners, numbers = batch.suspected(suspects, table.buckets)
        for owner, number in zip(owners.tolist(), numbers.tolist(), strict=True):
            rows[int(suspects[number])].append((batch.ids[owner], batch.texts[owner]))
    found: dict[str, Trigger] = {}
    for bucket, members in rows.items():
        phrase = _common_words([words_of(text) for _, text in members[:_COMPARED]], table, len(members))
        label = table.label(bucket)
        having = [row_id for row_id, text in members if f" {phrase} " in f" {' '.join(words_of(text))} "]
        mine = [row_id for row_id in having if labels[row_id] == label]
        if phrase and (phrase not in found or len(mine) > len(found[phrase].rows)):
            found[phrase] = Trigger(phrase, label, mine, len(having) - len(mine))
    return [
        each for each in found.values() if not any(each.phrase in other and each.phrase != other for other in found)
    ]


def _common_words(rows: Sequence[Sequence[str]], table: _Table, size: int) -> str:
    """The longest run of words that nearly all of some rows have, and hardly any others; empty when there is none."""
    marked = [f" {' '.join(words)} " for words in rows]
    for length in range(_LONGEST_RUN, 0, -1):
        runs = {" ".join(rows[0][start : start + length]) for start in range(len(rows[0]) - length + 1)}
        common = [run for run in runs if sum(f" {run} " in text for text in marked) >= _ALWAYS * len(rows)]
        rare = {run: most for run in sorted(common) if (most := table.most_rows(run)) <= _BEYOND * size}
        if rare:
            return min(rare, key=lambda run: rare[run])
    return ""


def _without_relatives(texts: Texts, labels: NDArray[np.int32], triggers: list[Trigger]) -> list[Trigger]:
    """Leaves out words whose inflected forms tell the same label."""
    stems = {trigger.phrase: trigger.phrase[: max(len(trigger.phrase) - 3, 4)] for trigger in triggers}
    singles = [trigger for trigger in triggers if trigger.phrase.isalpha() and len(trigger.phrase) >= 4]
    seen: dict[str, list[int]] = {trigger.phrase: [0, 0] for trigger in singles}
    for row_id, text in texts() if singles else ():
        if labels[row_id] < 0:
            continue
        words = set(words_of(text))
        for trigger in singles:
            stem = stems[trigger.phrase]
            if trigger.phrase not in words and any(word.startswith(stem) for word in words):
                seen[trigger.phrase][int(labels[row_id] == trigger.label)] += 1
    related = {
        phrase
        for phrase, (other, same) in seen.items()
        if same >= _FEWEST_RELATIVES and same >= _TELLING * (other + same)
    }
    return [trigger for trigger in triggers if trigger.phrase not in related]


@dataclass
class _Rows:
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
    def of(cls, rows: Sequence[tuple[int, str]], labels: NDArray[np.int32]) -> _Rows:
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
        both = np.unique(self.owners * _COLUMNS + (self.hashes % np.uint64(_COLUMNS)).astype(np.int64))
        return _ones(both // _COLUMNS, both % _COLUMNS, (len(self.ids), _COLUMNS))

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


def _batches(texts: Texts, labels: NDArray[np.int32]) -> Iterator[_Rows]:
    """Rows that have a label, some at a time."""
    labelled = ((row_id, text) for row_id, text in texts() if labels[row_id] >= 0)
    while batch := list(islice(labelled, _BATCH)):
        yield _Rows.of(batch, labels)


def _ones(rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]) -> Any:
    from scipy.sparse import csr_array

    return csr_array((np.ones(len(rows), np.int32), (rows, columns)), shape=shape)
