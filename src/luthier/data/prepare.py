"""Preparation: the user's files -> token sequences by split, and the ledger. Cached by content.

Two passes, both streaming. The first reads every row and keeps its example aside on disk with a few numbers in memory;
then duplicates, splits and leaks are decided for all rows; the second tokenises what is left, in batches.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from luthier.config import RunConfig
from luthier.data.decisions import Decisions, Gathered, decide, gather
from luthier.data.examples import Example
from luthier.data.intake import iterate_examples, sources_of
from luthier.data.ledger import Entry, Fate, LedgerWriter, Summary, summarise
from luthier.data.records import Encoded, Rejected, TokenSequence
from luthier.data.rendering import Renderer
from luthier.data.sources import data_files
from luthier.data.splits import SPLITS
from luthier.data.store import Kept, Records, RecordsWriter
from luthier.errors import DataError
from luthier.runs.files import read_json, write_json

DATA_VERSION = 1
"""Part of the cache's key: raised when preparation gives another result for the same input."""

Progress = Callable[[str, int, int | None], None]
"""Told (phase, rows done, rows in all or None)."""

_FIRST = 10


class Encoder(Protocol):
    """The part of a task that preparation needs."""

    kinds: Any

    def encode(self, examples: Sequence[tuple[int, Example]], renderer: Renderer) -> list[Encoded]:
        """Tokens of (row id, example) pairs, in order."""
        ...


@dataclass(frozen=True)
class Prepared:
    """Prepared data, in the cache.

    Attributes:
        folder: where it lies.
        train: the rows to learn from, memory-mapped.
        validation: the rows to choose by.
        test: the rows to judge by.
        labels: the allowed labels, in order; empty for rows without labels.
        ledger: path of the ledger.
        summary: the ledger in numbers.
        notes: what was detected or decided, as sentences to say aloud.
        digest: hash of everything that the rows were made from.
    """

    folder: Path
    train: Records
    validation: Records
    test: Records
    labels: tuple[str, ...]
    ledger: Path
    summary: Summary
    notes: list[str]
    digest: str

    @classmethod
    def open(cls, folder: Path) -> Prepared:
        """Opens a prepared folder; no row is read."""
        about = read_json(folder / "prepared.json")
        return cls(
            folder,
            *(Records(folder / f"{split}.arrow") for split in SPLITS),
            labels=tuple(about["labels"]),
            ledger=folder / "ledger.parquet",
            summary=Summary.from_dict(about["summary"]),
            notes=about["notes"],
            digest=about["digest"],
        )


def prepare(
    config: RunConfig,
    encoder: Encoder,
    tokenizer: Any,
    tokenizer_digest: str,
    *,
    cache: Path,
    progress: Progress | None = None,
) -> Prepared:
    """Reads, cleans, splits and tokenises the rows; the second time it takes them from the cache.

    Args:
        config: the run.
        encoder: the task.
        tokenizer: a transformers tokenizer.
        tokenizer_digest: hash of the tokenizer's files.
        cache: folder of all prepared data.
        progress: told how far it is.

    Raises:
        DataError: a source cannot be read, too many rows are bad, a row is too long and `too_long` is fail, or no row
            is left to train on.
    """
    template = Renderer.for_data(config.data, tokenizer, config.data.labels or ()).template_text
    digest = _digest(config, tokenizer_digest, template)
    folder = cache / digest[:24]
    if not (folder / "prepared.json").is_file():
        aside = cache / f".{folder.name}.{os.getpid()}.partial"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            _Preparation(config, encoder, tokenizer, aside, progress or (lambda phase, done, total: None)).run(digest)
            if not folder.exists():  # another process may have been faster with the same rows
                aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return Prepared.open(folder)


def _digest(config: RunConfig, tokenizer_digest: str, template: str) -> str:
    """Hash of everything that decides the result: files, configuration, tokenizer, template, this code's version."""
    contents = []
    for _, source in sources_of(config.data):
        for file in data_files(source)[0]:
            with file.path.open("rb") as stream:
                contents.append((file.name, hashlib.file_digest(stream, "sha256").hexdigest()))
    parts = {
        "version": DATA_VERSION,
        "files": contents,
        "data": config.data.model_dump(mode="json", exclude={"balance"}),
        "task": config.task.model_dump(mode="json"),
        "tokenizer": tokenizer_digest,
        "template": template,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass
class _Preparation:
    """One preparation at work in a folder of its own."""

    config: RunConfig
    encoder: Encoder
    tokenizer: Any
    folder: Path
    progress: Progress
    notes: list[str] = field(default_factory=list)
    too_long: list[str] = field(default_factory=list)

    def run(self, digest: str) -> None:
        aside = self.folder / "examples.arrow"
        taken = iterate_examples(self.config, self.notes.append)
        rows = gather(taken, aside, lambda done: self.progress("reading", done, None))
        self.progress("comparing", 0, None)
        decisions = decide(rows, self.config.data)
        self.notes += decisions.notes
        self._encode(rows, decisions)
        aside.unlink()
        ledger = self.folder / "ledger.parquet"
        summary = summarise(ledger)
        self._check(summary)
        write_json(
            self.folder / "prepared.json",
            {"digest": digest, "labels": decisions.labels, "notes": self.notes, "summary": summary.as_dict()},
        )

    def _encode(self, rows: Gathered, decisions: Decisions) -> None:
        """The second pass: every row gets its line in the ledger, every kept one its tokens."""
        renderer = Renderer.for_data(self.config.data, self.tokenizer, decisions.labels)
        total = len(rows.roles)
        pieces = Counter(total)
        first = 0
        with ExitStack() as stack:
            ledger = stack.enter_context(LedgerWriter(self.folder / "ledger.parquet"))
            writers = [stack.enter_context(RecordsWriter(self.folder / f"{split}.arrow")) for split in SPLITS]
            for batch in rows.examples.batches():
                encoded = self._tokens(batch, first, decisions, renderer)
                for row_id, row in enumerate(batch, start=first):
                    split = int(decisions.splits[row_id])
                    entry = _entry(row_id, row, rows.files[row.file], SPLITS[split], decisions)
                    for line, sequence in self._lines(entry, encoded.get(row_id), pieces):
                        ledger.write(line)
                        if sequence is not None:
                            writers[split].write(sequence)
                first += len(batch)
                self.progress("tokenising", first, total)
