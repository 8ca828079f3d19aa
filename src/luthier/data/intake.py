"""The first look at every row: source -> format -> repairs. What `prepare`, `inspect` and `new` read rows by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from luthier.config import DataConfig, RunConfig, SourceConfig, SplitConfig
from luthier.data.cleaner import Cleaner
from luthier.data.cleaning import DroppedRow
from luthier.data.examples import BadRow, Example, Row, UnreadableRow
from luthier.data.formats import Format, Part, detect, examples_in, load_format
from luthier.data.hindsight import hindsight
from luthier.data.ledger import Origin
from luthier.data.reading.sources import RowSource, data_files
from luthier.data.splits import SPLITS
from luthier.data.times import in_seconds, read_time

Say = Callable[[str], None]
SAMPLE = 50
"""Rows of a file that its format is guessed from."""

ORIGIN_COLUMN = "luthier_origin"
"""A column in which files of generated rows say so, whatever their format."""


class Taken(NamedTuple):
    """One row of the input.

    Attributes:
        row_id: its number in reading order, from 0.
        role: the split whose source it comes from: train | validation | test.
        file: path of its file.
        line: line in it (position, for JSON documents and Parquet).
        example: what the format made of it; None when it was quarantined or dropped.
        reason: why, empty otherwise.
        dropped: whether a cleaning step dropped it (readable, but not wanted).
        changes: what cleaning steps changed in it.
        key: what it is split by: a group's name or a time; None for other splits.
        parts: how many examples the row holds, each of which follows as a row of its own; 0 where the row is the
            example.
        parent_id: for one of these, the row that holds it.
        source: place of its source among those of its role.
        generated: whether its file says that a model wrote it.
        known: when its label became known, where a column says so.
        late: what its answer knows from hindsight; None for nothing.
    """

    row_id: int
    role: str
    file: str
    line: int
    example: Example | None
    reason: str = ""
    dropped: bool = False
    changes: str = ""
    key: str | float | None = None
    parts: int = 0
    parent_id: int | None = None
    source: int = 0
    generated: bool = False
    known: float | None = None
    late: str | None = None

    @property
    def origin(self) -> Origin:
        """What the ledger says of where it came from."""
        if self.parent_id is not None:
            return "part"
        return "generated" if self.generated else "raw"


def sources_of(config: DataConfig) -> list[tuple[str, SourceConfig]]:
    """All sources with the split each is for, in reading order."""
    return [(role, source) for role in SPLITS for source in getattr(config, role)]


def iterate_examples(
    config: RunConfig, say: Say = lambda note: None, cleaner: Cleaner | None = None
) -> Iterator[Taken]:
    """Every row of the input in reading order, readable or not.

    Args:
        config: the run.
        say: told what was detected, as sentences.
        cleaner: repairs the rows and remembers what it did; None = a new one.

    Raises:
        DataError: a source cannot be opened, or its format cannot be told.
    """
    cleaner = cleaner or Cleaner(config.data)
    row_id = 0
    places: Counter[str] = Counter()
    for role, source in sources_of(config.data):
        opened, place = OpenSource.open(source, say), places[role]
        for row in opened.rows():
            generated = isinstance(row, Row) and row.values.get(ORIGIN_COLUMN) == "generated"
            for taken in _take(row_id, role, row, opened.format, cleaner, config.data):
                yield taken._replace(source=place, generated=generated) if place or generated else taken
                row_id += 1
        places[role] += 1


@dataclass(frozen=True)
class OpenSource:
    """A source whose files and format are known; `format` and its `name` are None when no row told it."""

    files: Sequence[RowSource]
    format: Format | None
    name: str | None = None

    @classmethod
    def open(cls, source: SourceConfig, say: Say) -> OpenSource:
        """Finds the files, their encodings and the rows' format, and says what it found.

        Raises:
            DataError: there is nothing to read, or the format cannot be told.
        """
        files, unknown = data_files(source)
        if unknown:
            shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
            say(f"{source.path}: {_files(len(unknown))} left out, not rows: {shown}")
        if source.encoding == "auto":
            _say_encodings(source.path, files, say)
        name = source.format
        if name == "auto":
            rows = sample_rows(files)
            if not rows:
                return cls(files, None)
            name, reason = detect(rows, source.columns)
            say(f"{source.path}: format {reason}")
        return cls(files, load_format(name, source.columns), name)

    def rows(self) -> Iterator[Row | BadRow]:
        """All rows, file after file."""
        for file in self.files:
            yield from file.rows()


def sample_rows(files: Sequence[RowSource]) -> list[Row]:
    """The first readable rows: 50 of a file, fewer of each when there are many files."""
    each = max(SAMPLE // len(files), 10)
    return [row for file in files[:SAMPLE] for row in islice(file.rows(), each * 2) if isinstance(row, Row)][
        : SAMPLE * 4
    ]


def _say_encodings(path: str, files: Sequence[RowSource], say: Say) -> None:
    found = Counter(file.encoding for file in files if file.encoding not in (None, "utf-8"))
    for encoding, count in sorted(found.items(), key=str):
        say(f"{path}: {'' if len(files) == 1 else _files(count) + ' '}read as {encoding} (detected)")


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"


def _take(
    row_id: int, role: str, row: Row | BadRow, form: Format | None, cleaner: Cleaner, config: DataConfig
) -> Iterator[Taken]:
    """What becomes of one row before all of them are seen; behind a row of several examples come these."""
    if isinstance(row, BadRow):
        yield Taken(row_id, role, row.file, row.line, None, row.reason)
        return
    try:
        if form is None:
            raise UnreadableRow("no format could be told from the first rows")
        parts = examples_in(form, row)
        key = _Key.of(row, config.split, needed=role == "train")
    except UnreadableRow as error:
        yield Taken(row_id, role, row.file, row.line, None, str(error))
        return
    taken = Taken(row_id, role, row.file, row.line, None, key=key.value, known=key.known)
    if len(parts) == 1:
        yield _repaired(taken, parts[0], row, key, cleaner, config)
        return
    yield taken._replace(key=None, known=None, parts=len(parts))
    for number, part in enumerate(parts, start=1):
        child = taken._replace(row_id=row_id + number, parent_id=row_id)
        yield _repaired(child, part, row, key, cleaner, config)


def _repaired(taken: Taken, part: Part, row: Row, key: _Key, cleaner: Cleaner, config: DataConfig) -> Taken:
    """A row with its example as the cleaning steps leave it, or with the reason why there is none."""
    try:
        if isinstance(part, UnreadableRow):
            raise part
        example: Example = part
        unknown = [name for name in example.classes if config.labels is not None and name not in config.labels]
        if unknown:
            raise UnreadableRow(f"label '{unknown[0][:60]}' is not among data.labels")
        example, changes = cleaner.repair(example, row, taken.role)
        late = _late_answer(example, key, config)
    except UnreadableRow as error:
        return taken._replace(reason=str(error), key=None, known=None)
    except DroppedRow as error:
        return taken._replace(reason=str(error), dropped=True, key=None, known=None)
    changes = "; ".join(filter(None, (changes, late)))
    return taken._replace(example=example, changes=changes, late=late)


class _Key(NamedTuple):
    """What a row is split by, and when what it tells was known."""

    value: str | float | None = None
    known: float | None = None
    moment: float | None = None

    @classmethod
    def of(cls, row: Row, split: SplitConfig, *, needed: bool) -> _Key:
        """Reads it off a row.

        Raises:
            UnreadableRow: a column that is needed has no value, or the row knows something from after its own time.
        """
        how, _, column = split.by.partition(":")
        if how not in ("group", "time") or not (needed or (how == "time" and _given(row, column))):
            return cls()
        value = _needed(row, column)
        if how == "group":
            return cls(str(value))
        time = read_time(value, column)
        own = in_seconds(time)
        for other in split.known_at:
            if _given(row, other) and in_seconds(read_time(row.values[other], other)) > own:
                raise UnreadableRow(f"look-ahead: '{other}' is {row.values[other]}, after '{column}', which is {value}")
        known = split.label_time if needed else None
        return cls(
            own,
            None if known is None else in_seconds(read_time(_needed(row, known), known)),
            None if isinstance(time, float) else own,
        )


def _given(row: Row, column: str) -> bool:
    return row.values.get(column) not in (None, "")


def _needed(row: Row, column: str) -> Any:
    if not _given(row, column):
        raise UnreadableRow(f"no value in column '{column}', which the split goes by")
    return row.values[column]


def _late_answer(example: Example, key: _Key, config: DataConfig) -> str | None:
    """What an answer knows from hindsight, as a note.

    Raises:
        DroppedRow: it knows something, and such rows are to be dropped.
    """
    action = config.hindsight
    if action == "off" or (action == "auto" and not config.split.by.startswith("time:")):
        return None
    found = hindsight(example, key.moment)
    if found and action == "drop":
        raise DroppedRow(found)
    return found
