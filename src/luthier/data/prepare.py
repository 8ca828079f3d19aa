"""Preparation: the user's files -> token sequences by split, and the ledger. Cached by content.

Two passes, both streaming. The first reads every row and keeps its example aside on disk with a few numbers in memory;
then duplicates, splits and leaks are decided for all rows; the second tokenises what is left, in batches.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from luthier.config import RunConfig
from luthier.data.augmenting import augment, load_augmentations
from luthier.data.cleaner import CLEANING, Cleaner, load_steps
from luthier.data.decisions import decide
from luthier.data.gathering import Gathered, gather
from luthier.data.intake import iterate_examples, sources_of
from luthier.data.ledger import Summary
from luthier.data.reading.sources import data_files
from luthier.data.rendering import Renderer
from luthier.data.store import Examples, Records
from luthier.data.tokenising import LEDGER, Encoder, tokenise
from luthier.data.workshop import once, workshop
from luthier.errors import DataError
from luthier.progress import Report, silent
from luthier.runs.files import content_hash, read_json, write_json

__all__ = ["DATA_VERSION", "Encoder", "Prepared", "Report", "prepare"]

DATA_VERSION = 5
"""Part of the cache's key: raised when preparation gives another result for the same input."""

EXAMPLES = "examples.arrow"
"""Every row of the files as it was cleaned."""

AUGMENTED = "augmented.arrow"
"""The rows that were made of them, likewise; there is none without data.augment."""

_FIRST = 10
_OBJECTS = 200_000
"""New objects between two looks for cycles; Python's own choice is 700."""

_WEIGHTS = {"__all__": {"weight"}}
_DRAWN: Any = {"balance": True, "pack": True, "train": _WEIGHTS, "validation": _WEIGHTS, "test": _WEIGHTS}
"""Keys that act when training draws rows, and change nothing about them."""


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
        cleaning: path of what every cleaning step did, as JSON.
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
    cleaning: Path
    summary: Summary
    notes: list[str]
    digest: str

    @classmethod
    def open(cls, folder: Path) -> Prepared:
        """Opens a prepared folder; no row is read."""
        about = read_json(folder / "prepared.json")
        return cls(
            folder,
            train=Records(folder / "train.arrow"),
            validation=Records(folder / "validation.arrow"),
            test=Records(folder / "test.arrow"),
            labels=tuple(about["labels"]),
            ledger=folder / LEDGER,
            cleaning=folder / CLEANING,
            summary=Summary.from_dict(about["summary"]),
            notes=about["notes"],
            digest=about["digest"],
        )

    @classmethod
    def cached(cls, cache: Path, digest: str) -> Prepared | None:
        """The rows of that digest, when they are still in the cache."""
        folder = cache / digest[:24]
        return cls.open(folder) if (folder / "prepared.json").is_file() else None

    @property
    def examples(self) -> Examples:
        """Every row as it was cleaned, by its number in the ledger; the pieces of split rows are not among them."""
        made = self.folder / AUGMENTED
        return Examples(self.folder / EXAMPLES, *([made] if made.is_file() else []))


def prepare(
    config: RunConfig,
    encoder: Encoder,
    tokenizer: Any,
    tokenizer_digest: str,
    *,
    cache: Path,
    progress: Report | None = None,
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
        with workshop(folder, "prepared.json") as aside, _seldom_collecting():
            _write(config, encoder, tokenizer, aside, digest, progress or silent)
    return Prepared.open(folder)


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Lets the collector of cycles run seldom: rows come and go by the thousand without any, and each time it would
    look through those that are there, now and then through all of torch too."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _digest(config: RunConfig, tokenizer_digest: str, template: str) -> str:
    """Hash of everything that decides the result: sources, configuration, tokenizer, template, this code's version.

    A source says itself what its rows depend on: a file its bytes, a query also the database's, a server's query the
    rows that it returns now, a data set of the hub the commit that its name means now.
    """
    files = [file for _, source in sources_of(config.data) for file in data_files(source)[0]]
    parts = {
        "version": DATA_VERSION,
        "files": [(file.name, file.digest()) for file in files],
        "cleaning": [file.digest() for step in load_steps(config.data) for file in step.files()],
        "augmentation": [content_hash(path) for way in load_augmentations(config.data) for path in way.files()],
        "data": config.data.model_dump(mode="json", exclude=_DRAWN),
        "task": config.task.model_dump(mode="json"),
        "tokenizer": tokenizer_digest,
        "template": template,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _write(config: RunConfig, encoder: Encoder, tokenizer: Any, folder: Path, digest: str, progress: Report) -> None:
    """Prepares into a folder; `prepared.json` is its last file."""
    rows, cleaner, notes = once(folder, lambda: _first_pass(config, folder / EXAMPLES, progress))
    rows = replace(rows, examples=Examples(folder / EXAMPLES))  # where an interrupted process had it, is gone
    progress("comparing", 0, None)
    decisions = decide(rows, config.data, cleaner)
    progress("comparing", len(rows.roles), len(rows.roles))
    examples = rows.examples
    if config.data.augment:
        examples = augment(rows, decisions, config.data, (folder / EXAMPLES, folder / AUGMENTED), progress)
    renderer = Renderer.for_data(config.data, tokenizer, decisions.labels)
    say = partial(progress, "tokenising")
    too_long, summary = tokenise(examples, rows.files, decisions, encoder, renderer, folder, say)
    if too_long and config.data.too_long == "fail":
        raise DataError(
            f"{len(too_long)} rows are longer than data.max_length. The first:\n{_listed(too_long)}",
            hint="raise data.max_length, or set data.too_long: truncate or drop",
        )
    if not summary.rows.get("train"):
        reasons = [f"{number} {fate}: {reason}" for fate, reason, number in summary.reasons]
        raise DataError(
            f"of {summary.rows_in} rows none is left to train on:\n{_listed(reasons)}",
            hint="the reasons say what to change",
        )
    write_json(folder / CLEANING, cleaner.report())
    about = {"labels": decisions.labels, "notes": notes + decisions.notes, "summary": summary.as_dict()}
    write_json(folder / "prepared.json", {"digest": digest, **about})


def _first_pass(config: RunConfig, path: Path, progress: Report) -> tuple[Gathered, Cleaner, list[str]]:
    """Reads every row; what cleaned them, and what was noticed on the way, is returned too."""
    cleaner, notes = Cleaner(config.data), list[str]()
    taken = iterate_examples(config, notes.append, cleaner)
    return gather(taken, path, lambda done: progress("reading", done, None)), cleaner, notes


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines[:_FIRST])
