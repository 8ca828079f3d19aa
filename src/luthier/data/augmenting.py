"""New training rows, made when splits and leaks are decided: checked against all other rows, and in the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from luthier import registry
from luthier.config import DataConfig
from luthier.data.decisions import LEAK_SIMILARITY, Decisions, resemblance
from luthier.data.examples import Example
from luthier.data.gathering import Gathered
from luthier.data.similarity import Signatures, Signer, exact_digests
from luthier.data.splits import TEST, TRAIN, VALIDATION, find_leaks
from luthier.data.store import Examples, ExampleWriter, Kept
from luthier.data.texts import asked, setting
from luthier.progress import Report

if TYPE_CHECKING:
    from luthier.data.augmentation import Augmentation, NewRow


def load_augmentations(config: DataConfig) -> list[Augmentation]:
    """The ways of making new rows, in order."""
    return [registry.load("augmentation", options.name)(options, config) for options in config.augment]


def augment(
    rows: Gathered, made: Decisions, config: DataConfig, paths: tuple[Path, Path], progress: Report
) -> Examples:
    """Makes new rows of the training rows, and extends the decisions by what becomes of them.

    Args:
        rows: all rows of files.
        made: what becomes of them.
        config: the data's configuration.
        paths: where the examples of files lie, and where those of new rows go.
        progress: told (phase, rows done, rows in all).

    Returns:
        All rows: those of files, then the new ones, which are numbered on.
    """
    steps = load_augmentations(config)
    for step in steps:
        step.look(row.example for batch in _training_rows(rows, made) for _, row in batch if row.example)
    total = len(rows.examples)
    with ExampleWriter(paths[1]) as writer:
        new = _NewRows(rows, config, writer)
        for batch in _training_rows(rows, made):
            for step in steps:
                new.add(step, batch)
            if batch:
                progress("augmenting", batch[-1][0] + 1, total)
    made.splits = np.concatenate([made.splits, np.full(len(new.usable), TRAIN, np.int8)])
    made.alive = np.concatenate([made.alive, np.array(new.usable, bool)])
    examples = Examples(*paths)
    both = rows.signatures + new.signatures()
    for split in (TEST, VALIDATION):
        fresh = np.flatnonzero(made.alive[total:]) + total
        leaks = find_leaks(both, fresh, made.rows(split), LEAK_SIMILARITY, lambda row: examples.example(row).comparable)
        for row, other in sorted(leaks.items()):
            made.drop(row, f"leak: {resemblance(both, row, other, split)}")
    made.notes += new.notes(config)
    return examples


def _training_rows(rows: Gathered, made: Decisions) -> Iterator[list[tuple[int, Kept]]]:
    """The training rows that are left, with their ids, batch by batch."""
    first = 0
    for batch in rows.examples.batches():
        ids = range(first, first + len(batch))
        yield [
            (row_id, row)
            for row_id, row in zip(ids, batch, strict=True)
            if made.alive[row_id] and made.splits[row_id] == TRAIN
        ]
        first += len(batch)


class _NewRows:
    """Writes new rows, refuses those that there are already, and keeps a few numbers of each."""

    def __init__(self, rows: Gathered, config: DataConfig, writer: ExampleWriter) -> None:
        readable = np.flatnonzero(rows.readable)
        self._values, places = np.unique(rows.signatures.exact[readable], return_index=True)
        self._firsts = readable[places]
        self._seen: dict[int, int] = {}
        self._next = len(rows.examples)
        self._instruction = config.instruction
        self._writer = writer
        self._signer = Signer()
        self._made: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self.usable: list[bool] = []

    def add(self, step: Augmentation, batch: Sequence[tuple[int, Kept]]) -> None:
        """What a step makes of a batch of training rows."""
        parents = dict(batch)
        pairs = [(row_id, row.example) for row_id, row in batch if row.example is not None]
        made = list(step.make(pairs))
        texts, settings = [row.example.comparable for row in made], [self._setting(row.example) for row in made]
        self._signer.add(texts, settings, [asked(row.example) for row in made])
        digests = exact_digests(texts, settings).tolist()
        for row, digest in zip(made, digests, strict=True):
            reason = row.refused or self._known(digest)
            self._write(row, parents[row.parent], reason)
            self._seen.setdefault(digest, self._next)
            self._next += 1
            (self._refused if reason else self._made)[step.options.name] += 1

    def _setting(self, example: Example) -> str:
        """What makes a row with the same text another one; asked the configured question, it is none."""
        found = setting(example)
        return "" if found == self._instruction else found

    def _known(self, digest: int) -> str:
        """Which row says the same already; empty when none does."""
        place = int(np.searchsorted(self._values, np.uint64(digest)))
        if place < len(self._values) and int(self._values[place]) == digest:
            return f"exact duplicate of row {self._firsts[place]}"
        return f"exact duplicate of row {self._seen[digest]}" if digest in self._seen else ""

    def _write(self, row: NewRow, parent: Kept, reason: str) -> None:
        self._writer.write(
            Kept(
                parent.file,
                parent.line,
                None if reason else row.example,
                reason,
                row.change,
                dropped=bool(reason),
                origin="augmented",
                parent_id=row.parent,
                source=parent.source,
            )
        )
        self.usable.append(not reason)

    def signatures(self) -> Signatures:
        """Of all new rows, refused ones included; called once."""
        return self._signer.finish()

    def notes(self, config: DataConfig) -> list[str]:
        """What each step came to, as sentences."""
        return [
            f"data.augment: {name} made {self._made[name]} new rows"
            + (f" and {self._refused[name]} that were refused" if self._refused[name] else "")
            for name in dict.fromkeys(each.name for each in config.augment)
        ]
