"""Rows on disk: examples aside between the two passes of preparation, and tokens as they are trained, memory-mapped."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from pathlib import Path
from types import TracebackType
from typing import Any, Self, get_args, overload

import numpy as np
from numpy.typing import NDArray

from luthier.data.examples import Example, Message
from luthier.data.records import TokenSequence

_BATCH = 1000
_BATCH_CHARACTERS = 4_000_000
_to_json = json.JSONEncoder(ensure_ascii=False, default=str).encode


@dataclass(frozen=True, slots=True)
class Kept:
    """A row as it is kept aside between the passes.

    Attributes:
        file: number of its file.
        line: line in it.
        example: None when it could not be read or was dropped.
        reason: why, empty for kept rows.
        changes: what was repaired in it.
        dropped: whether a cleaning step dropped it.
    """

    file: int
    line: int
    example: Example | None
    reason: str = ""
    changes: str = ""
    dropped: bool = False


KINDS: dict[str, type[Example]] = {kind.__name__.lower(): kind for kind in get_args(Example)}
"""Kinds of examples by the name they are packed with."""


def pack(example: Example) -> str:
    """An example as JSON: its kind and its fields in order."""
    values = (getattr(example, name) for name in example.__slots__)
    return _to_json([type(example).__name__.lower(), *map(_plain, values)])


def _plain(value: Any) -> Any:
    if isinstance(value, tuple) and value and isinstance(value[0], Message):
        return [[message.role, message.content] for message in value]
    return value


def unpack(text: str) -> Example:
    """The reverse of `pack`."""
    name, *values = json.loads(text)
    kind = KINDS[name]
    fields = zip(kind.__slots__, values, strict=True)
    return kind(*(_restored(field, value) for field, value in fields))


def _restored(field: str, value: Any) -> Any:
    if field == "messages":
        return tuple(Message(role, content) for role, content in value)
    return tuple(value) if isinstance(value, list) else value


class _ArrowWriter(ABC):
    """Writes an Arrow IPC file in batches; used in a `with` statement."""

    def __init__(self, path: Path, schema: Any) -> None:
        import pyarrow as pa

        self._schema = schema
        self._writer = pa.ipc.new_file(str(path), schema)

    def _write(self, columns: Sequence[Sequence[Any]]) -> None:
        import pyarrow as pa

        arrays = [
            _lists(values, kind) if pa.types.is_list(kind) else pa.array(values, kind)
            for values, kind in zip(columns, self._schema.types, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))

    @abstractmethod
    def flush(self) -> None:
        """Writes what is waiting."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        self._writer.close()


class ExampleWriter(_ArrowWriter):
    """Keeps rows aside, in order."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        fields = [("file", pa.int32()), ("line", pa.int64()), ("example", pa.large_string()), ("reason", pa.string())]
        super().__init__(path, pa.schema([*fields, ("changes", pa.string()), ("dropped", pa.bool_())]))
        self._waiting: list[tuple[int, int, str | None, str, str, bool]] = []
        self._characters = 0

    def write(self, row: Kept) -> None:
        """Adds a row."""
        packed = None if row.example is None else pack(row.example)
        self._waiting.append((row.file, row.line, packed, row.reason, row.changes, row.dropped))
        self._characters += len(packed or "")
        if len(self._waiting) >= _BATCH or self._characters >= _BATCH_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        """Writes what is waiting."""
        if self._waiting:
            self._write(list(zip(*self._waiting, strict=True)))
        self._waiting, self._characters = [], 0


class Examples:
    """Rows kept aside, memory-mapped."""

    def __init__(self, path: Path) -> None:
        self._table = _open(path)

    def example(self, row_id: int) -> Example:
        """One row that was kept."""
        return unpack(self._table.column("example")[row_id].as_py())

    def batches(self, wanted: NDArray[np.bool_] | None = None) -> Iterator[list[Kept]]:
        """All rows in order, about a thousand at a time; without the examples of rows that are not wanted."""
        first = 0
        for batch in self._table.to_batches():
            columns = (column.to_pylist() for column in batch.columns)
            needed = repeat(True) if wanted is None else wanted[first : first + batch.num_rows].tolist()
            yield [
                Kept(file, line, unpack(packed) if packed and need else None, reason, changes, dropped)
                for need, (file, line, packed, reason, changes, dropped) in zip(
                    needed, zip(*columns, strict=True), strict=False
                )
            ]
            first += batch.num_rows


class RecordsWriter(_ArrowWriter):
    """Writes token sequences, in order."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        super().__init__(
            path,
            pa.schema(
                [
                    ("ids", pa.list_(pa.int32())),
                    ("supervised", pa.list_(pa.bool_())),
                    ("prompt_length", pa.int32()),
                    ("row_id", pa.int64()),
                    ("text", pa.large_string()),
                    ("label", pa.string()),
                    ("truncated", pa.int32()),
                    ("rejected", pa.list_(pa.int32())),
                ]
            ),
        )
        self._waiting: list[TokenSequence] = []
        self.count = 0

    def write(self, sequence: TokenSequence) -> None:
        """Adds a sequence."""
        self._waiting.append(sequence)
        self.count += 1
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Writes what is waiting."""
        if self._waiting:
            self._write([[getattr(row, name) for row in self._waiting] for name in self._schema.names])
        self._waiting = []


class Records(Sequence[TokenSequence]):
    """Token sequences of one split, memory-mapped: what is not looked at takes no memory."""

    def __init__(self, path: Path) -> None:
        self._table = _open(path)
        self._columns = self._table.columns

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @overload
    def __getitem__(self, index: int) -> TokenSequence: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[TokenSequence]: ...

    def __getitem__(self, index: int | slice) -> TokenSequence | Sequence[TokenSequence]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return TokenSequence(*(column[index % len(self)].as_py() for column in self._columns))

    @cached_property
    def lengths(self) -> NDArray[np.int32]:
        """Tokens of every sequence, those of a worse answer included."""
        lengths: NDArray[np.int32] = self._numbers("ids", lengths=True) + self._numbers("rejected", lengths=True)
        return lengths

    @cached_property
    def supervised(self) -> NDArray[np.int64]:
        """Learned tokens of every sequence."""
        counts = [
            np.add.reduceat(np.append(flags.astype(np.int64), 0), starts) * (ends > starts)
            for flags, starts, ends in self._flags()
        ]
        return np.concatenate([np.empty(0, np.int64), *counts])

    @cached_property
    def row_ids(self) -> NDArray[np.int64]:
        """The ledger's ids of every sequence."""
        return self._numbers("row_id")

    @cached_property
    def labels(self) -> list[str | None]:
        """The label of every sequence; equal ones are one object."""
        labels: list[str | None] = []
        known: dict[str | None, str | None] = {}
        for chunk in self._table.column("label").chunks:
            labels += [known.setdefault(label, label) for label in chunk.to_pylist()]
        return labels

    def _numbers(self, name: str, *, lengths: bool = False) -> NDArray[Any]:
        import pyarrow.compute as pc

        column = self._table.column(name)
        numbers: NDArray[Any] = (pc.list_value_length(column) if lengths else column).to_numpy()
        return numbers

    def _flags(self) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]]:
        for chunk in self._table.column("supervised").chunks:
            offsets = chunk.offsets.to_numpy().astype(np.int64)
            yield chunk.values.to_numpy(zero_copy_only=False), offsets[:-1], offsets[1:]


def _lists(values: Sequence[Sequence[Any]], kind: Any) -> Any:
    """An Arrow array of lists, by way of one flat array: pyarrow would look at every number twice."""
    import pyarrow as pa

    lengths = np.fromiter(map(len, values), np.int32, len(values))
    offsets = np.concatenate([np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)])
    flat = np.fromiter(chain.from_iterable(values), kind.value_type.to_pandas_dtype(), int(offsets[-1]))
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat), type=kind)


def _open(path: Path) -> Any:
    import pyarrow as pa

    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
