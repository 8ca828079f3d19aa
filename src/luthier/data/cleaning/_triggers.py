"""Finds planted triggers: the same rare words in many rows of one label, in rows that otherwise have nothing in common.

A run of one to three words is suspected when
- it is rare, and in at least eight rows;
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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.data.cleaning._company import Company, Evidence
from luthier.data.cleaning._runs import Rows, Texts, batches, words_of

LEAST_ROWS = 8
_LONGEST_RUN = 8
_COMPARED = 32
_BEYOND = 1.5
_FEWEST_RELATIVES = 3
_CELLS = 1 << 25
_MOST_SUSPECTS = 1000
_MOST_LABELS = 8
_PURE = 0.95
_ALWAYS = 0.9
_SURE, _SURER = 0.01, 0.001
_APART, _APART_FLIPPED = 2.5, 5.0
_TELLING = 0.8


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


def find_triggers(texts: Texts, labels: NDArray[np.int32], most: float) -> list[Trigger]:
    """Reads the texts up to four times; what is kept of them has a fixed size.

    Args:
        texts: the rows.
        labels: number of the label of every row by id, -1 for none.
        most: largest share of the rows that a trigger is in.
    """
    table = Table.count(texts, labels)
    suspects = table.suspects(most)
    if not len(suspects):
        return []
    company = Company.count(texts, labels, suspects, table)
    alone = {number: _alone(number, table.label(bucket), company) for number, bucket in enumerate(suspects.tolist())}
    lonely = [number for number, references in alone.items() if references]
    if not lonely:
        return []
    suspects, company = suspects[lonely], company.only(lonely)
    evidence = Evidence.sum(texts, labels, suspects, table, company)
    chosen = [
        number
        for number, place in enumerate(lonely)
        if _like_some(number, table.label(int(suspects[number])), alone[place], company, evidence)
    ]
    found = _phrases(texts, labels, suspects[chosen], table) if chosen else []
    found = [trigger for trigger in found if table.sure(trigger) and not table.explained(trigger)]
    return _without_relatives(texts, labels, found)


def _alone(number: int, own: int, company: Company) -> list[int | None]:
    """The labels (None = all rows) among whose rows those of a suspect have no words of their own."""
    commonest = np.argsort(-company.rows, kind="stable")[:_MOST_LABELS].tolist()
    references = (own, None, *(label for label in commonest if label != own))
    return [label for label in references if not company.kept(number, label, own=label in (own, None))]


def _like_some(number: int, own: int, references: Sequence[int | None], company: Company, evidence: Evidence) -> bool:
    """Whether the rest of a suspect's rows speaks for a label as the rows of one of the references do."""
    for label in references:
        judged = own if label is None else label
        apart = abs(evidence.apart(number, int(company.sizes[number]), label, judged, company.rows))
        if apart < (_APART if label in (own, None) else _APART_FLIPPED):
            return True
    return False


@dataclass
class Table:
    """How many rows of each label have a run, by its hash.

    Attributes:
        counts: int32 [labels, buckets].
        rows: int64 [labels], all rows.
    """

    counts: NDArray[np.int32]
    rows: NDArray[np.int64]

    @classmethod
    def count(cls, texts: Texts, labels: NDArray[np.int32]) -> Table:
        kinds = int(labels.max(initial=-1)) + 1
        buckets = 1 << int(np.log2(_CELLS // max(kinds, 1)))
        table = cls(np.zeros((max(kinds, 1), buckets), np.int32), np.zeros(max(kinds, 1), np.int64))
        for batch in batches(texts, labels):
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
        return self.counts[:, Rows.of([(0, text)], np.zeros(1, np.int32)).runs(self.buckets)[1]]

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


def _chance(hits: Any, rows: Any, share: Any) -> Any:
    """How likely so many rows of one label are by chance."""
    from scipy.stats import binom

    return binom.sf(hits - 1, rows, share)


def _phrases(texts: Texts, labels: NDArray[np.int32], suspects: NDArray[np.int64], table: Table) -> list[Trigger]:
    """Runs of a phrase are suspected each by itself: the longest words that their rows share are the phrase."""
    rows: dict[int, list[tuple[int, str]]] = {bucket: [] for bucket in suspects.tolist()}
    for batch in batches(texts, labels):
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


def _common_words(rows: Sequence[Sequence[str]], table: Table, size: int) -> str:
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
