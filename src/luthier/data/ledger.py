"""The ledger: what became of every row. Its lines with origin `raw` or `generated` are the input, one for one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

Origin = Literal["raw", "part", "split", "augmented", "generated"]
Fate = Literal["kept", "dropped", "quarantined"]

_BATCH = 10_000
_NUMBER = re.compile(r"\b\d+\b")


class Entry(NamedTuple):
    """One line of the ledger.

    Attributes:
        row_id: unique in the ledger; rows of files are numbered from 0 in reading order, parts behind their holder.
        origin: raw, generated (a row of a file that says a model wrote it), part (one of several examples that a row
            holds), or what made it of another row.
        file: the user's file.
        line: 1-based line in it (position, for JSON documents and Parquet).
        split: train | validation | test; for rows that were not kept, the one they were meant for.
        fate: kept, dropped (readable, but not wanted) or quarantined (not readable).
        reason: why it was not kept; empty for kept rows.
        changes: what was changed in it or noticed about it; empty for nothing.
        parent_id: the row it was made from, None for rows of files.
        tokens: number of tokens; 0 for rows not kept and for rows whose pieces carry them.
        supervised: how many of them are learned.
        content: hash of what the row says after cleaning, to compare preparations by; empty for unreadable rows.
    """

    row_id: int
    origin: Origin
    file: str
    line: int
    split: str
    fate: Fate
    reason: str = ""
    changes: str = ""
    parent_id: int | None = None
    tokens: int = 0
    supervised: int = 0
    content: str = ""


def _schema() -> Any:
    import pyarrow as pa

    word = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            pa.field("row_id", pa.int64(), nullable=False),
            ("parent_id", pa.int64()),
            ("origin", word),
            ("file", word),
            ("line", pa.int64()),
            ("split", word),
            ("fate", word),
            ("reason", pa.string()),
            ("changes", pa.string()),
            ("tokens", pa.int32()),
            ("supervised", pa.int32()),
            ("content", pa.string()),
        ]
    )


class LedgerWriter:
    """Writes a ledger line by line, in batches; use it in a `with` statement.

    Attributes:
        tally: counts what was written.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self.tally = Tally()

        self._schema = _schema()
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting: list[Entry] = []

    def write(self, entry: Entry) -> None:
        """Adds a line."""
        self._waiting.append(entry)
        self.tally.add(entry)
        if len(self._waiting) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        columns = dict(zip(Entry._fields, zip(*self._waiting, strict=True), strict=True)) if self._waiting else {}
        arrays = [pa.array(columns.get(field.name, ()), field.type) for field in self._schema]
        self._writer.write_table(pa.table(arrays, schema=self._schema))
        self._waiting.clear()

    def __enter__(self) -> LedgerWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()


def read_ledger(path: Path) -> Iterator[Entry]:
    """All lines in order, streamed."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH):
            for values in batch.to_pylist():
                yield Entry(**values)


def read_raw(path: Path) -> Iterator[Entry]:
    """The lines of whole rows in order, without those of the pieces that some were split into."""
    return (entry for entry in read_ledger(path) if entry.origin != "split")


@dataclass(frozen=True)
class Summary:
    """A ledger in numbers.

    Attributes:
        rows_in: rows of files.
        kept: how many of them were kept.
        rows: rows to learn from or to score, by split; the pieces of a split row count one each.
        reasons: rows not kept, by (fate, reason with numbers left out).
        changes: kept rows that were changed or flagged, by change with numbers left out.
        tokens: tokens by split.
        supervised: learned tokens by split.
        longest: tokens of the longest kept row.
        over_length: rows of files longer than data.max_length.
        origins: kept rows by origin, where it is not raw.
    """

    rows_in: int = 0
    kept: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    reasons: list[tuple[str, str, int]] = field(default_factory=list)
    changes: list[tuple[str, int]] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)
    supervised: dict[str, int] = field(default_factory=dict)
    longest: int = 0
    over_length: int = 0
    origins: dict[str, int] = field(default_factory=dict)

    @property
    def over_length_share(self) -> float:
        """Share of the rows of files that were longer than data.max_length."""
        return self.over_length / self.rows_in if self.rows_in else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Summary:
        """The reverse of `as_dict`."""
        pairs = {name: [tuple(item) for item in values[name]] for name in ("reasons", "changes")}
        return cls(**(values | pairs))


class Tally:
    """Counts a ledger line by line."""

    def __init__(self) -> None:
        self._rows: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._supervised: Counter[str] = Counter()
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._changes: Counter[str] = Counter()
        self._origins: Counter[str] = Counter()
        self._raw = self._kept = self._longest = self._over = 0

    def add(self, entry: Entry) -> None:
        """Counts a line."""
        if entry.origin in ("raw", "generated"):
            self._raw += 1
            self._kept += entry.fate == "kept"
            self._over += entry.reason.startswith("too long") or entry.changes.startswith(("truncated", "split into"))
        if entry.fate != "kept":
            self._reasons[entry.fate, reason_class(entry.reason)] += 1
            return
        if entry.origin != "raw":
            self._origins[entry.origin] += 1
        if entry.changes:
            self._changes.update(reason_class(change) for change in entry.changes.split("; "))
        if entry.tokens:
            self._rows[entry.split] += 1
        self._tokens[entry.split] += entry.tokens
        self._supervised[entry.split] += entry.supervised
        self._longest = max(self._longest, entry.tokens)

    def summary(self) -> Summary:
        """The numbers so far."""
        reasons = [(fate, reason, count) for (fate, reason), count in self._reasons.most_common()]
        return Summary(
            rows_in=self._raw,
            kept=self._kept,
            rows=dict(self._rows),
            reasons=reasons,
            changes=self._changes.most_common(),
            tokens=dict(self._tokens),
            supervised=dict(self._supervised),
            longest=self._longest,
            over_length=self._over,
            origins=dict(self._origins),
        )


def summarise(path: Path) -> Summary:
    """Counts a ledger, streamed."""
    tally = Tally()
    for entry in read_ledger(path):
        tally.add(entry)
    return tally.summary()


def reason_class(reason: str) -> str:
    """A reason without its numbers, so that like ones count together."""
    head = reason.partition(":")[0] if reason.startswith("too long") else reason
    return _NUMBER.sub("N", head)


def places(path: Path, each: int = 3) -> dict[str, list[str]]:
    """Where to look: for every reason and change, with its numbers left out, the first rows as `file:line`."""
    found: dict[str, list[str]] = {}
    for entry in read_raw(path):
        told = [entry.reason] if entry.fate != "kept" else entry.changes.split("; ") if entry.changes else []
        for text in told:
            rows = found.setdefault(reason_class(text), [])
            if len(rows) < each:
                rows.append(f"{entry.file}:{entry.line}")
    return found
