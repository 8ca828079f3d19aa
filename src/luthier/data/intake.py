"""The first look at every row: source -> format -> repairs. What `prepare`, `inspect` and `new` read rows by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from luthier import registry
from luthier.config import DataConfig, RunConfig, SourceConfig, SplitConfig
from luthier.data.cleaning import CleaningStep, DroppedRow
from luthier.data.examples import Example, Row, UnreadableRow
from luthier.data.formats import Format, detect, load_format
from luthier.data.hindsight import hindsight
from luthier.data.sources import BadRow, DataFile, data_files
from luthier.data.splits import SPLITS
from luthier.data.times import in_seconds, read_time

Say = Callable[[str], None]
SAMPLE = 50
"""Rows of a file that its format is guessed from."""


@dataclass(frozen=True, slots=True)
class Taken:
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
    known: float | None = None
    late: str | None = None


def load_steps(config: DataConfig) -> list[CleaningStep]:
    """The cleaning steps, in order."""
    return [registry.load("cleaning", options.name)(options) for options in config.clean]


def sources_of(config: DataConfig) -> list[tuple[str, SourceConfig]]:
    """All sources with the split each is for, in reading order."""
    return [(role, source) for role in SPLITS for source in getattr(config, role)]


def iterate_examples(config: RunConfig, say: Say = lambda note: None) -> Iterator[Taken]:
    """Every row of the input in reading order, readable or not.

    Args:
        config: the run.
        say: told what was detected, as sentences.

    Raises:
        DataError: a source cannot be opened, or its format cannot be told.
    """
    steps = load_steps(config.data)
    row_id = 0
    for role, source in sources_of(config.data):
        opened = OpenSource.open(source, say)
        for row in opened.rows():
            yield _take(row_id, role, row, opened.format, steps, config.data)
            row_id += 1


@dataclass(frozen=True)
class OpenSource:
    """A source whose files and format are known; `format` is None when no row could be read to tell it by."""

    files: list[DataFile]
    format: Format | None

    @classmethod
    def open(cls, source: SourceConfig, say: Say) -> OpenSource:
        """Finds the files, their encodings and the rows' format, and says what it found.

        Raises:
            DataError: there is nothing to read, or the format cannot be told.
        """
        files, unknown = data_files(source)
        if unknown:
            shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
            say(f"{source.path}: {_files(len(unknown))} of a kind that cannot be read, left out: {shown}")
        if source.encoding == "auto":
            _say_encodings(source.path, files, say)
        name = source.format
        if name == "auto":
            rows = sample_rows(files)
            if not rows:
                return cls(files, None)
            name, reason = detect(rows, source.columns)
            say(f"{source.path}: format {reason}")
        return cls(files, load_format(name, source.columns))

    def rows(self) -> Iterator[Row | BadRow]:
        """All rows, file after file."""
        for file in self.files:
            yield from file.rows()


def sample_rows(files: Sequence[DataFile]) -> list[Row]:
    """The first readable rows: 50 of a file, fewer of each when there are many files."""
    each = max(SAMPLE // len(files), 10)
    return [row for file in files[:SAMPLE] for row in islice(file.rows(), each * 2) if isinstance(row, Row)][
        : SAMPLE * 4
    ]


def _say_encodings(path: str, files: Sequence[DataFile], say: Say) -> None:
    found = Counter(file.encoding for file in files if file.encoding not in (None, "utf-8"))
    for encoding, count in sorted(found.items(), key=str):
        say(f"{path}: {'' if len(files) == 1 else _files(count) + ' '}read as {encoding} (detected)")


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"


def _take(
    row_id: int, role: str, row: Row | BadRow, form: Format | None, steps: Sequence[CleaningStep], config: DataConfig
) -> Taken:
    """What becomes of one row before all of them are seen."""
    if isinstance(row, BadRow):
        return Taken(row_id, role, row.file, row.line, None, row.reason)
    try:
        if form is None:
            raise UnreadableRow("no format could be told from the first rows")
        example = form.example(row)
        unknown = [name for name in example.classes if config.labels is not None and name not in config.labels]
        if unknown:
            raise UnreadableRow(f"label '{unknown[0][:60]}' is not among data.labels")
        key = _Key.of(row, config.split, needed=role == "train")
        changes: list[str] = []
        for step in steps:
            example, change = step.repair(example)
            changes += [change] if change else []
        late = _late_answer(example, key, config)
        changes += [late] if late else []
    except UnreadableRow as error:
        return Taken(row_id, role, row.file, row.line, None, str(error))
    except DroppedRow as error:
        return Taken(row_id, role, row.file, row.line, None, str(error), dropped=True)
    changed = "; ".join(changes)
    return Taken(row_id, role, row.file, row.line, example, changes=changed, key=key.value, known=key.known, late=late)


@dataclass(frozen=True, slots=True)
class _Key:
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
