"""Two preparations side by side, row by row: which rows changed fate, split or text.

A row is known by its file and line. Both ledgers are joined by them in Arrow, so a million rows take seconds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from luthier.data.ledger import reason_class
from luthier.runs.files import replacing

_COLUMNS = ("file", "line", "split", "fate", "reason", "changes", "content", "origin")
_BATCH = 10_000
_FIRST = 5


@dataclass(frozen=True)
class Change:
    """What became of one row in two preparations.

    Attributes:
        file, line: the row.
        kind: only in A | only in B | fate | reason | split | text.
        before, after: how it stands in A and in B; empty where it is not.
    """

    file: str
    line: int
    kind: str
    before: str
    after: str


@dataclass
class Differences:
    """All changes in numbers, with the first of each kind.

    Attributes:
        rows: rows that both have, only A has, only B has.
        same: rows that both have and in which nothing changed.
        counts: kind -> rows.
        detail: (kind, before, after) with numbers left out -> rows, the most frequent first.
        examples: kind -> the first changes.
    """

    rows: dict[str, int]
    same: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    detail: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    examples: dict[str, list[Change]] = field(default_factory=dict)

    def add(self, change: Change) -> None:
        """Counts a change."""
        self.counts[change.kind] += 1
        self.detail[change.kind, reason_class(change.before), reason_class(change.after)] += 1
        first = self.examples.setdefault(change.kind, [])
        if len(first) < _FIRST:
            first.append(change)

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "rows": self.rows,
            "same": self.same,
            "counts": dict(self.counts.most_common()),
            "detail": [
                {"kind": kind, "before": before, "after": after, "rows": rows}
                for (kind, before, after), rows in self.detail.most_common()
            ],
            "examples": {kind: [asdict(change) for change in first] for kind, first in self.examples.items()},
        }


def joined(first: Path, second: Path) -> Any:
    """The whole rows of two ledgers as one Arrow table: `a_*` and `b_*` by file, line and occurrence, in that order."""
    keys = ["file", "line", "occurrence"]
    one, two = (_rows(path, prefix) for path, prefix in ((first, "a_"), (second, "b_")))
    return one.join(two, keys, join_type="full outer").sort_by([(key, "ascending") for key in keys])


def _rows(path: Path, prefix: str) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    present = set(pq.read_schema(path).names)
    table = pq.read_table(path, columns=[name for name in _COLUMNS if name in present])
    table = table.filter(pc.not_equal(pc.cast(table["origin"], pa.string()), "split")).drop_columns(["origin"])
    if "content" not in present:
        table = table.append_column("content", pa.nulls(len(table), pa.string()))
    for name in ("file", "split", "fate"):
        table = table.set_column(table.schema.get_field_index(name), name, pc.cast(table[name], pa.string()))
    table = table.append_column("occurrence", pa.array(_occurrences(table)))
    return table.rename_columns(
        [name if name in ("file", "line", "occurrence") else prefix + name for name in table.column_names]
    )


def _occurrences(table: Any) -> Any:
    """How often a file and line came before: a file that is named twice, or rows that were made of one."""
    import pyarrow.compute as pc

    files = pc.dictionary_encode(table["file"].combine_chunks()).indices.to_numpy()
    lines = table["line"].to_numpy()
    order = np.lexsort((lines, files))
    begins = np.ones(len(order), bool)
    begins[1:] = (np.diff(files[order]) != 0) | (np.diff(lines[order]) != 0)
    place = np.arange(len(order))
    count = np.empty(len(order), np.int64)
    count[order] = place - np.maximum.accumulate(np.where(begins, place, 0))
    return count


def _rows_of(table: Any) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield from batch.to_pylist()


def _changes(row: dict[str, Any]) -> Iterator[Change]:
    """The changes of one row: none, one, or two when its split and its text changed."""
    for kind, before, after in _kinds(row):
        yield Change(row["file"], row["line"], kind, before, after)


def _kinds(row: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if row["b_fate"] is None:
        yield "only in A", _told(row, "a_"), ""
    elif row["a_fate"] is None:
        yield "only in B", "", _told(row, "b_")
    elif row["a_fate"] != row["b_fate"]:
        yield "fate", _told(row, "a_"), _told(row, "b_")
    elif row["a_fate"] != "kept":
        if reason_class(row["a_reason"]) != reason_class(row["b_reason"]):
            yield "reason", _told(row, "a_"), _told(row, "b_")
    else:
        if row["a_split"] != row["b_split"]:
            yield "split", row["a_split"], row["b_split"]
        if row["a_content"] and row["b_content"] and row["a_content"] != row["b_content"]:
            yield "text", row["a_changes"] or "as it stood", row["b_changes"] or "as it stood"


def _told(row: dict[str, Any], prefix: str) -> str:
    """A row's fate with its reason, or its split."""
    fate, reason = row[prefix + "fate"], row[prefix + "reason"]
    return f"kept, {row[prefix + 'split']}" if fate == "kept" else f"{fate}: {reason}"


def differences(first: Path, second: Path, everything: Path | None = None) -> Differences:
    """Compares two ledgers.

    Args:
        first: ledger A.
        second: ledger B.
        everything: where all changes are written, a line of JSON each; None = nowhere.
    """
    table = joined(first, second)
    only_a, only_b = table["b_fate"].null_count, table["a_fate"].null_count
    both = len(table) - only_a - only_b
    found = Differences({"both": both, "only in A": only_a, "only in B": only_b})
    with replacing(everything) if everything else nullcontext() as aside, ExitStack() as stack:
        file = stack.enter_context(aside.open("w", encoding="utf-8")) if aside else None
        for row in _rows_of(table):
            changes = list(_changes(row))
            found.same += not changes
            for change in changes:
                found.add(change)
                if file:
                    file.write(json.dumps(asdict(change), ensure_ascii=False) + "\n")
    return found
