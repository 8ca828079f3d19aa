"""The second pass of preparation: every row gets its line in the ledger, every kept one its tokens on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import ClassVar, Protocol

from luthier.data.decisions import Decisions
from luthier.data.examples import Example
from luthier.data.ledger import Entry, Fate, LedgerWriter, Summary
from luthier.data.records import Encoded, Rejected, TokenSequence
from luthier.data.rendering import Renderer
from luthier.data.splits import SPLITS
from luthier.data.store import Examples, Kept, RecordsWriter

LEDGER = "ledger.parquet"


class Encoder(Protocol):
    """The part of a task that preparation needs."""

    kinds: ClassVar[tuple[type, ...]]

    def encode(self, examples: Sequence[tuple[int, Example]], renderer: Renderer) -> list[Encoded]:
        """Tokens of (row id, example) pairs, in order."""
        ...


def tokenise(
    examples: Examples,
    files: Sequence[str],
    decisions: Decisions,
    encoder: Encoder,
    renderer: Renderer,
    folder: Path,
    progress: Callable[[int, int], None],
) -> tuple[list[str], Summary]:
    """Writes SPLIT.arrow and ledger.parquet into a folder, batch by batch.

    Args:
        examples: all rows.
        files: names of the files, by number.
        decisions: what becomes of each row.
        encoder: the task.
        renderer: the run's renderer.
        folder: where to write.
        progress: told (rows done, rows in all).

    Returns:
        The rows that were too long and not cut, as `file:line reason`, and the ledger in numbers.
    """
    too_long: list[str] = []
    with ExitStack() as stack:
        ledger = stack.enter_context(LedgerWriter(folder / LEDGER))
        writers = {split: stack.enter_context(RecordsWriter(folder / f"{split}.arrow")) for split in SPLITS}
        for line, sequence in _whole_rows(_rows(examples, files, decisions, encoder, renderer, progress)):
            ledger.write(line)
            if line.reason.startswith("too long"):
                too_long.append(f"{line.file}:{line.line} {line.reason}")
            if sequence is not None:
                writers[line.split].write(sequence)
    return too_long, ledger.tally.summary()


Lines = list[tuple[Entry, TokenSequence | None]]
"""A row's lines in the ledger, each with what is trained of it."""


def _rows(
    examples: Examples,
    files: Sequence[str],
    decisions: Decisions,
    encoder: Encoder,
    renderer: Renderer,
    progress: Callable[[int, int], None],
) -> Iterator[tuple[Kept, Lines]]:
    """Every row with its lines, encoded batch by batch."""
    total = len(examples)
    pieces = count(total)
    first = 0
    for batch in examples.batches():
        encoded = _encode(batch, first, decisions, encoder, renderer)
        for row_id, row in enumerate(batch, start=first):
            entry = _entry(row_id, row, files[row.file], SPLITS[decisions.splits[row_id]], decisions)
            lines = list(_lines(entry, encoded.get(row_id), pieces))
            if row.source:
                lines = [(line, sequence and replace(sequence, source=row.source)) for line, sequence in lines]
            yield row, lines
        first += len(batch)
        progress(first, total)


def _whole_rows(rows: Iterable[tuple[Kept, Lines]]) -> Iterator[tuple[Entry, TokenSequence | None]]:
    """All lines in order; those of a row of several examples come when it is known what becomes of all of these."""
    waiting: Lines = []
    missing = 0
    for row, lines in rows:
        if row.parts:
            waiting, missing = lines, row.parts
        elif missing:
            waiting += lines
            missing -= 1
            if not missing:
                yield from _settled(waiting)
        else:
            yield from lines


def _settled(lines: Lines) -> Lines:
    """The line of a row of several examples in front of theirs: it is kept when one of them is."""
    (holder, _), *others = lines
    first = others[0][0]
    holder = holder._replace(split=first.split)
    if not any(line.fate == "kept" for line, _ in others):
        holder = holder._replace(fate=first.fate, reason=f"none of its examples is kept: {first.reason}")
    return [(holder, None), *others]


def _encode(
    batch: Sequence[Kept], first: int, decisions: Decisions, encoder: Encoder, renderer: Renderer
) -> dict[int, Encoded]:
    """Encodes the rows of a batch that are still alive; kinds that the task does not take are rejected."""
    encoded: dict[int, Encoded] = {}
    taken: list[tuple[int, Example]] = []
    for row_id, row in enumerate(batch, start=first):
        if row.example is None or not decisions.alive[row_id]:
            continue
        if isinstance(row.example, encoder.kinds):
            taken.append((row_id, row.example))
        else:
            kind = type(row.example).__name__.lower()
            encoded[row_id] = Rejected(f"a {kind} is not what the task learns from")
    tokens = _encode_all(taken, encoder, renderer)
    return encoded | dict(zip((row_id for row_id, _ in taken), tokens, strict=True))


def _encode_all(examples: Sequence[tuple[int, Example]], encoder: Encoder, renderer: Renderer) -> list[Encoded]:
    """Encodes a batch at once; one row that the template refuses does not take the others with it."""
    from jinja2 import TemplateError

    try:
        return encoder.encode(examples, renderer)
    except TemplateError as error:
        if len(examples) == 1:
            return [Rejected(f"the template refuses it: {error}")]
    return [encoded for example in examples for encoded in _encode_all([example], encoder, renderer)]


def _entry(row_id: int, row: Kept, file: str, split: str, decisions: Decisions) -> Entry:
    """A row's line before it is encoded."""
    changes = "; ".join(filter(None, (row.changes, decisions.flags.get(row_id))))
    fate: Fate
    if row.parts:
        fate, reason, changes = "kept", "", f"holds {row.parts} examples"
    elif row.example is None:
        fate, reason = ("dropped" if row.dropped else "quarantined"), row.reason
    elif row_id in decisions.quarantined:
        fate, reason = "quarantined", decisions.quarantined[row_id]
    elif row_id in decisions.dropped:
        fate, reason = "dropped", decisions.dropped[row_id]
    else:
        fate, reason = "kept", ""
    return Entry(row_id, row.origin, file, row.line, split, fate, reason, changes, row.parent_id, content=row.content)


def _lines(
    entry: Entry, encoded: Encoded | None, pieces: Iterator[int]
) -> Iterator[tuple[Entry, TokenSequence | None]]:
    """A row's lines in the ledger, each with what is trained of it; pieces of a split row have lines of their own."""
    if encoded is None:
        yield entry, None
    elif isinstance(encoded, Rejected):
        yield entry._replace(fate="dropped", reason=encoded.reason), None
    elif len(encoded) == 1:
        [sequence] = encoded
        cut = f"truncated by {sequence.truncated} tokens" if sequence.truncated else ""
        changes = "; ".join(filter(None, (cut, entry.changes)))
        tokens, supervised = len(sequence.ids), sequence.supervised_count
        yield entry._replace(changes=changes, tokens=tokens, supervised=supervised), sequence
    else:
        changes = "; ".join(filter(None, (f"split into {len(encoded)} pieces", entry.changes)))
        yield entry._replace(changes=changes), None
        for sequence, row_id in zip(encoded, pieces, strict=False):
            tokens, supervised = len(sequence.ids), sequence.supervised_count
            origin = entry._replace(row_id=row_id, origin="split", parent_id=entry.row_id)
            # every piece carrying the whole text would make the square of a long document; tagged words have their own
            text = "" if sequence.label is None else sequence.text
            yield origin._replace(tokens=tokens, supervised=supervised), replace(sequence, row_id=row_id, text=text)
