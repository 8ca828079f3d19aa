"""The ledger: what became of every row. Its lines with origin `raw` are the input, one for one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

Origin = Literal["raw", "split", "augmented", "generated"]
Fate = Literal["kept", "dropped", "quarantined"]

_BATCH = 10_000
_NUMBER = re.compile(r"\b\d+\b")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger.

    Attributes:
        row_id: unique in the ledger; raw rows are numbered from 0 in reading order.
        origin: raw, or what made the row.
        file: the user's file.
        line: 1-based line in it (position, for JSON documents and Parquet).
        split: train | validation | test; for rows that were not kept, the one they were meant for.
        fate: kept, dropped (readable, but not wanted) or quarantined (not readable).
        reason: why it was not kept; empty for kept rows.
        changes: what was changed in it or noticed about it; empty for nothing.
        parent_id: the row it was made from, None for raw rows.
        tokens: number of tokens; 0 for rows not kept and for rows whose pieces carry them.
        supervised: how many of them are learned.
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

        columns = {
            name: pa.array([getattr(entry, name) for entry in self._waiting], self._schema.field(name).type)
            for name in self._schema.names
        }
        self._writer.write_table(pa.table(columns, schema=self._schema))
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


@dataclass(frozen=True)
class Summary:
    """A ledger in numbers.

    Attributes:
        rows_in: raw rows.
        kept: raw rows kept.
        rows: rows to learn from or to score, by split; the pieces of a split row count one each.
        reasons: rows not kept, by (fate, reason with numbers left out).
        changes: kept rows that were changed or flagged, by change with numbers left out.
        tokens: tokens by split.
        supervised: learned tokens by split.
        longest: tokens of the longest kept row.
        over_length: raw rows longer than data.max_length.
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

    @property
    def over_length_share(self) -> float:
        """Share of the raw rows that were longer than data.max_length."""
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
        self._raw = self._kept = self._longest = self._over = 0

    def add(self, entry: Entry) -> None:
        """Counts a line."""
        if entry.origin == "raw":
            self._raw += 1
            self._kept += entry.fate == "kept"
            self._over += entry.reason.startswith("too long") or entry.changes.startswith(("truncated", "split into"))
        if entry.fate != "kept":
            self._reasons[entry.fate, reason_class(entry.reason)] += 1
            return
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
        changes, tokens, supervised = self._changes.most_common(), dict(self._tokens), dict(self._supervised)
        rows = dict(self._rows)
        return Summary(self._raw, self._kept, rows, reasons, changes, tokens, supervised, self._longest, self._over)


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
