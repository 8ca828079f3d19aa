"""What is counted while the rows of a profile go by."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from luthier.data.examples import (
    BadRow,
    Conversation,
    Document,
    Example,
    Labelled,
    MultiLabelled,
    Pair,
    Preference,
    Row,
    Scored,
    TaggedWords,
    UnreadableRow,
)
from luthier.data.formats import Format, examples_in
from luthier.data.ledger import reason_class
from luthier.data.mojibake import is_mojibake, undone
from luthier.data.personal import KINDS, find_personal
from luthier.data.readable import readable
from luthier.data.scripts import script_of
from luthier.data.shapes import short
from luthier.data.similarity import Signer, equal_to, exact_digests, nearest_earlier
from luthier.data.texts import said_with

TaskHint = Literal[
    "classification", "several labels", "scores", "tags", "pairs", "preferences", "conversation", "text", "unknown"
]

_HINTS: dict[type, TaskHint] = {
    Labelled: "classification",
    MultiLabelled: "several labels",
    Scored: "scores",
    TaggedWords: "tags",
    Pair: "pairs",
    Preference: "preferences",
    Conversation: "conversation",
    Document: "text",
}

_NEAR = 0.8
_SAMPLE = 20_000
_SAMPLE_CHARACTERS = 20_000_000
_EXAMPLES = 3
_EXAMPLE_LENGTH = 400
_FIRST = 10
_MOST_LABELS = 10_000
_BATCH = 1000
_BATCH_CHARACTERS = 4_000_000


@dataclass
class Tally:
    """What is counted while the rows go by: numbers of each row, and the texts of the first ones."""

    form: Format | None
    tokenizer: Any = None
    rows: int = 0
    bad: int = 0
    first_bad: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    lengths: array[int] = field(default_factory=lambda: array("q"))
    tokens: array[int] = field(default_factory=lambda: array("q"))
    digests: array[int] = field(default_factory=lambda: array("Q"))
    texts: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    families: list[int] = field(default_factory=list)
    characters: int = 0
    kinds: Counter[TaskHint] = field(default_factory=Counter)
    scripts: Counter[str] = field(default_factory=Counter)
    personal: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    mojibake: int = 0
    repairable: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    waiting_characters: int = 0

    def add(self, row: Row | BadRow) -> None:
        """Counts a row, readable or not."""
        self.rows += 1
        if isinstance(row, BadRow):
            self._bad(row, row.reason)
        elif self.form is not None:
            try:
                parts = examples_in(self.form, row)
            except UnreadableRow as error:
                parts = [error]
            family = self.rows
            self.rows += len(parts) - 1
            for part in parts:
                if isinstance(part, UnreadableRow):
                    self._bad(row, str(part))
                else:
                    self._example(part, family)

    def _bad(self, row: Row | BadRow, reason: str) -> None:
        self.bad += 1
        reason = short(reason, 200)
        self.reasons[reason_class(reason)] += 1
        if len(self.first_bad) < _FIRST:
            self.first_bad.append(f"{row.file}:{row.line} {reason}")

    def _example(self, example: Example, family: int) -> None:
        text, beside = example.comparable, said_with(example)
        self.lengths.append(len(text))
        self.digests.append(int(exact_digests([text], [beside])[0]))
        for label in example.classes:
            if label in self.labels or len(self.labels) < _MOST_LABELS:
                self.labels[label] += 1
        self.kinds[_HINTS[type(example)]] += 1
        self._look(f"{text}\n{example.target}" if isinstance(example, Pair) else text)
        if len(self.texts) < _SAMPLE and self.characters < _SAMPLE_CHARACTERS:
            self.texts.append(text)
            self.beside.append(beside)
            self.families.append(family)
            self.characters += len(text) + len(beside)
        if len(self.examples) < _EXAMPLES:
            self.examples.append({name: short(value, _EXAMPLE_LENGTH) for name, value in readable(example).items()})
        if self.tokenizer is not None:
            self.waiting.append(text)
            self.waiting_characters += len(text)
            if len(self.waiting) >= _BATCH or self.waiting_characters >= _BATCH_CHARACTERS:
                self.flush()

    def _look(self, text: str) -> None:
        """Counts what a text is made of."""
        self.scripts[script_of(text)] += 1
        if is_mojibake(text):
            self.mojibake += 1
            self.repairable += undone(text) != text
        kinds = Counter(str(each.kind) for each in find_personal(text, KINDS))
        self.found.update(kinds)
        self.personal.update(kinds.keys())

    def flush(self) -> None:
        """Counts the tokens of what is waiting."""
        if self.waiting:
            encoded = self.tokenizer(self.waiting, add_special_tokens=False, verbose=False)["input_ids"]
            self.tokens.extend(len(ids) for ids in encoded)
        self.waiting, self.waiting_characters = [], 0

    @property
    def task(self) -> TaskHint:
        """What most rows could teach."""
        return self.kinds.most_common(1)[0][0] if self.kinds else "unknown"

    def exact_duplicates(self) -> int:
        """Examples that say the same as an earlier one."""
        return len(self.digests) - len(np.unique(np.frombuffer(self.digests, np.uint64)))

    def near_duplicates(self) -> int:
        """Examples of the sample that nearly say the same as an earlier one, as preparation finds them: parts of one
        row, such as questions about one table, are not compared. The exact ones are counted elsewhere."""
        signer = Signer()
        for start in range(0, len(self.texts), _BATCH):
            batch = slice(start, start + _BATCH)
            signer.add(self.texts[batch], self.beside[batch])
        signatures = signer.finish()
        rows = np.arange(len(self.texts))
        first = rows[equal_to(signatures, rows, rows) == rows]
        return len(nearest_earlier(signatures, first, _NEAR, self.texts.__getitem__, self._related))

    def _related(self, row: int, other: int) -> bool:
        return self.families[row] == self.families[other]
