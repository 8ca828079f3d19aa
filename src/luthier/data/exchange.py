"""Rows from one format into another, and several files into one: streamed, written whole or not at all.

Nothing is lost silently: an example that the new format has no room for is refused with the reason, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.config import SourceConfig
from luthier.data.examples import (
    CALLED,
    BadRow,
    Conversation,
    Example,
    Labelled,
    Pair,
    Row,
    UnreadableRow,
    UnwritableExample,
)
from luthier.data.formats import Format, Part, Writable, examples_in
from luthier.data.intake import OpenSource
from luthier.data.ledger import reason_class
from luthier.data.readable import NATURAL, load_writer
from luthier.data.row_files import fitting, kind_of_new, refuse_what_is_read, writing_rows
from luthier.data.similarity import exact_digests
from luthier.data.texts import said_with
from luthier.errors import ConfigError, DataError
from luthier.runs.files import replacing

ORIGIN = "source"
"""The column that says which file a merged row is from."""

_FIRST = 10
_LOOK = 100
_EVERY = 1000


@dataclass
class Tally:
    """What became of the examples of one source.

    Attributes:
        path: as the user wrote it.
        format: the format it was read by; None when no row could be read.
        read: its examples, readable or not; a row of several counts as so many.
        written: those that stand in the new file.
        unreadable: rows that cannot be read, by reason with numbers left out.
        refused: examples that the new format has no room for, by reason likewise.
        first: the first ten of both, as `file:line reason`.
        repeated: written examples that say what an earlier one of this source says; they are written all the same.
        shared: written examples that an earlier source says too, by that source.
        left_out: columns of the first rows that no example is made of, so that the new file has not got them.
    """

    path: str
    format: str | None
    read: int = 0
    written: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)
    repeated: int = 0
    shared: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, None] = field(default_factory=dict)

    def look_at(self, row: Row, form: Format) -> None:
        """Notes which columns of a row play no role."""
        try:
            used = set(form.roles(row).values())
        except UnreadableRow:
            return
        if used <= set(row.values):  # else the roles are played inside of a column
            self.left_out |= dict.fromkeys(str(column) for column in row.values if column not in used)

    def met_again(self, earlier: Tally) -> None:
        """Counts an example that a source has said already, this one or one before it."""
        if earlier is self:
            self.repeated += 1
        else:
            self.shared[earlier.path] += 1

    def lost(self, counter: Counter[str], row: Row | BadRow, reason: str) -> None:
        """Counts an example that is not written."""
        counter[reason_class(reason)] += 1
        if len(self.first) < _FIRST:
            self.first.append(f"{row.file}:{row.line} {reason}")


@dataclass(frozen=True)
class Exchange:
    """What was written.

    Attributes:
        output: the new file.
        format: its format.
        tallies: one a source, in order.
        notes: what was detected, as sentences to say aloud.
    """

    output: Path
    format: str
    tallies: list[Tally]
    notes: list[str]

    @property
    def written(self) -> int:
        """Rows of the new file."""
        return sum(tally.written for tally in self.tallies)


def convert(source: SourceConfig, to: str, output: Path, progress: Callable[[int], None]) -> Exchange:
    """Writes the examples of a source as rows of another format.

    Args:
        source: what is read.
        to: the format that is written.
        output: the new file, JSON Lines or a table, by its suffix.
        progress: told how many rows were read.

    Raises:
        ConfigError: no row can be written in that format, or the output is what is read, or no such file.
        DataError: the source cannot be read, or none of its examples has room in the format.
    """
    notes: list[str] = []
    writer, kind = load_writer(to), kind_of_new(output)
    refuse_what_is_read([output], [source])
    opened = OpenSource.open(source, notes.append)
    tally = Tally(source.path, opened.name)
    with replacing(output) as aside:
        with writing_rows(aside, kind) as write:
            for _, row in _rewritten(opened, writer, kind, tally, progress):
                write(row)
        return _checked(Exchange(output, to, [tally], notes))


def merge(sources: Sequence[SourceConfig], to: str | None, output: Path, progress: Callable[[int], None]) -> Exchange:
    """Writes the examples of several sources into one file of one format, each with the source it is from.

    Args:
        sources: what is read, in order.
        to: the format that is written; None = the one that holds all their kinds.
        output: the new file, JSON Lines or a table, by its suffix.
        progress: told how many rows were read.

    Raises:
        ConfigError: no row can be written in that format, or no format holds all of them, or no such file.
        DataError: a source cannot be read, or nothing has room in the format.
    """
    notes, kind = list[str](), kind_of_new(output)
    refuse_what_is_read([output], sources)
    opened = [OpenSource.open(source, notes.append) for source in sources]
    to = to or _natural([(source.path, each) for source, each in zip(sources, opened, strict=True)])
    writer = load_writer(to)
    tallies = [Tally(source.path, each.name) for source, each in zip(sources, opened, strict=True)]
    said: dict[int, int] = {}  # the hash of a text and the first source that has it: about 100 MB for a million rows
    with replacing(output) as aside:
        with writing_rows(aside, kind) as write:
            for place, (tally, each) in enumerate(zip(tallies, opened, strict=True)):
                before = sum(earlier.read for earlier in tallies[:place])
                for example, row in _rewritten(each, writer, kind, tally, progress, before):
                    write({**row, ORIGIN: tally.path})
                    if (key := _key(example)) in said:
                        tally.met_again(tallies[said[key]])
                    said.setdefault(key, place)
        return _checked(Exchange(output, to, tallies, notes))


def _rewritten(
    opened: OpenSource, writer: Writable, kind: str, tally: Tally, progress: Callable[[int], None], before: int = 0
) -> Iterator[tuple[Example, dict[str, Any]]]:
    """Every example that the new format has room for, with its row; the others are counted."""
    for row in opened.rows():
        if tally.read < _LOOK and isinstance(row, Row) and opened.format is not None:
            tally.look_at(row, opened.format)
        for part in _parts(opened, row):
            tally.read += 1
            if isinstance(part, UnreadableRow):
                tally.lost(tally.unreadable, row, str(part))
                continue
            try:
                written = fitting(writer.row(part), kind)
            except UnwritableExample as error:
                tally.lost(tally.refused, row, str(error))
                continue
            tally.written += 1
            yield part, written
        if tally.read % _EVERY == 0:
            progress(before + tally.read)
    progress(before + tally.read)


def _parts(opened: OpenSource, row: Row | BadRow) -> Sequence[Part]:
    if isinstance(row, BadRow):
        return [UnreadableRow(row.reason)]
    if opened.format is None:
        return [UnreadableRow("no format could be told from the first rows")]
    try:
        return examples_in(opened.format, row)
    except UnreadableRow as error:
        return [error]


def _natural(sources: Sequence[tuple[str, OpenSource]]) -> str:
    """The format that holds whole what the first examples of all sources are."""
    kinds = {path: kind for path, opened in sources if (kind := _first_kind(opened))}
    found = set(kinds.values())
    if len(found) == 1:
        return NATURAL[found.pop()]
    if found and found <= {Conversation, Labelled, Pair}:
        return NATURAL[Conversation]
    seen = ", ".join(f"{path}: {CALLED[kind]}" for path, kind in kinds.items()) or "no row could be read"
    raise ConfigError(
        "no format holds all of these rows", where=seen, hint="merge files of one kind, or say which format with --to"
    )


def _first_kind(opened: OpenSource) -> type[Example] | None:
    parts = (part for row in opened.rows() for part in _parts(opened, row))
    return next((type(part) for part in parts if not isinstance(part, UnreadableRow)), None)


def _key(example: Example) -> int:
    """Equal for examples that say the same but for spacing, with the same tools or instruction."""
    return int(exact_digests([example.comparable], [said_with(example)])[0])


def _checked(made: Exchange) -> Exchange:
    """Refuses an empty result: an empty file would look like a success."""
    if made.written:
        return made
    reasons = (
        f"- {tally.path}: {count:,} rows: {reason}"
        for tally in made.tallies
        for reason, count in (tally.unreadable + tally.refused).most_common(_FIRST)
    )
    raise DataError(f"nothing can be written as {made.format}:\n" + "\n".join(reasons), hint="try another format")
