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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.config import RunConfig
from luthier.data.cleaner import CLEANING, Cleaner, load_steps
from luthier.data.decisions import decide, gather
from luthier.data.intake import iterate_examples, sources_of
from luthier.data.ledger import Summary
from luthier.data.rendering import Renderer
from luthier.data.sources import data_files
from luthier.data.store import Records
from luthier.data.tokenising import LEDGER, Encoder, tokenise
from luthier.errors import DataError
from luthier.runs.files import read_json, write_json

__all__ = ["DATA_VERSION", "Encoder", "Prepared", "Progress", "prepare"]

DATA_VERSION = 3
"""Part of the cache's key: raised when preparation gives another result for the same input."""

Progress = Callable[[str, int, int | None], None]
"""Told (phase, rows done, rows in all or None)."""

_FIRST = 10


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
            _write(config, encoder, tokenizer, aside, digest, progress or (lambda phase, done, total: None))
            if not (folder / "prepared.json").is_file():  # another process may have been faster with the same rows
                aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return Prepared.open(folder)


def _digest(config: RunConfig, tokenizer_digest: str, template: str) -> str:
    """Hash of everything that decides the result: files, configuration, tokenizer, template, this code's version."""
    files = [file for _, source in sources_of(config.data) for file in data_files(source)[0]]
    parts = {
        "version": DATA_VERSION,
        "files": [(file.name, _file_digest(file.path)) for file in files],
        "cleaning": [_file_digest(path) for step in load_steps(config.data) for path in step.files()],
        "data": config.data.model_dump(mode="json", exclude={"balance", "pack"}),
        "task": config.task.model_dump(mode="json"),
        "tokenizer": tokenizer_digest,
        "template": template,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error}"  # its line in the ledger will say so


def _write(config: RunConfig, encoder: Encoder, tokenizer: Any, folder: Path, digest: str, progress: Progress) -> None:
    """Prepares into an empty folder; `prepared.json` is its last file."""
    notes: list[str] = []
    aside = folder / "examples.arrow"
    cleaner = Cleaner(config.data)
    rows = gather(iterate_examples(config, notes.append, cleaner), aside, lambda done: progress("reading", done, None))
    progress("comparing", 0, None)
    decisions = decide(rows, config.data, cleaner)
    progress("comparing", len(rows.roles), len(rows.roles))
    renderer = Renderer.for_data(config.data, tokenizer, decisions.labels)
    too_long, summary = tokenise(
        rows, decisions, encoder, renderer, folder, lambda done, total: progress("tokenising", done, total)
    )
    aside.unlink()
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


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines[:_FIRST])
