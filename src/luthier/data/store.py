"""Rows on disk: examples aside between the two passes of preparation, and tokens as they are trained, memory-mapped."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, repeat
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, get_args, overload

import numpy as np
from numpy.typing import NDArray

from luthier.data.examples import Example, Message
from luthier.data.ledger import Origin
from luthier.data.records import TokenSequence

_BATCH = 1000
_BATCH_CHARACTERS = 4_000_000
_to_json = json.JSONEncoder(ensure_ascii=False, default=str).encode
_from_json = json.JSONDecoder().raw_decode


class Kept(NamedTuple):
    """A row as it is kept aside between the passes.

    Attributes:
        file: number of its file.
        line: line in it.
        example: None when it could not be read or was dropped.
        reason: why, empty for kept rows.
        changes: what was repaired in it.
        dropped: whether it is readable but not wanted.
        origin: raw, generated (by a model, as its file says), part or augmented.
        parent_id: the row that holds it, or that it was made from; None for others.
        parts: how many of the next rows are examples that it holds; 0 where the row is the example.
        source: place of its source among those of its split in the configuration.
        content: hash of the example, for comparing preparations; empty for rows that were just read.
    """

    file: int
    line: int
    example: Example | None
    reason: str = ""
    changes: str = ""
    dropped: bool = False
    origin: Origin = "raw"
    parent_id: int | None = None
    parts: int = 0
    source: int = 0
    content: str = ""


KINDS: dict[str, type[Example]] = {kind.__name__.lower(): kind for kind in get_args(Example)}
"""Kinds of examples by the name they are packed with."""


def pack(example: Example) -> str:
    """An example as JSON: its kind and its fields in order."""
    values = [_plain(getattr(example, name)) for name in example.__slots__]
    return _to_json([type(example).__name__.lower(), *values])


def _hash(packed: str | None) -> str:
    return "" if packed is None else hashlib.blake2b(packed.encode(errors="replace"), digest_size=8).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, tuple) and value and isinstance(value[0], Message):
        return [[message.role, message.content, message.calls, message.call_id] for message in value]
    return value


def unpack(text: str) -> Example:
    """The reverse of `pack`."""
    (name, *values), _ = _from_json(text)
    kind = KINDS[name]
    if kind.__slots__[0] == "messages":
        values[0] = tuple(
            [Message(role, content, tuple(calls), call_id) for role, content, calls, call_id in values[0]]
        )
    fields: list[Any] = [tuple(value) if isinstance(value, list) else value for value in values]
    return kind(*fields)


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
        about = [("origin", pa.string()), ("parent_id", pa.int64()), ("parts", pa.int32()), ("source", pa.int16())]
        super().__init__(path, pa.schema([*fields, ("changes", pa.string()), ("dropped", pa.bool_()), *about]))
        self._waiting: list[tuple[Any, ...]] = []
        self._characters = 0

    def write(self, row: Kept) -> None:
        """Adds a row."""
        file, line, example, *others, _ = row
        packed = None if example is None else pack(example)
        self._waiting.append((file, line, packed, *others))
        self._characters += len(packed or "")
        if len(self._waiting) >= _BATCH or self._characters >= _BATCH_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        """Writes what is waiting."""
        if self._waiting:
            self._write(list(zip(*self._waiting, strict=True)))
        self._waiting, self._characters = [], 0


class Examples:
    """Rows kept aside in one file or several, memory-mapped when they are first looked at."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths

    def __reduce__(self) -> tuple[type[Examples], tuple[Path, ...]]:
        return Examples, self._paths

    @cached_property
    def _table(self) -> Any:
        import pyarrow as pa

        return pa.concat_tables([_open(path) for path in self._paths])

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def example(self, row_id: int) -> Example:
        """One row that was kept."""
        return unpack(self._table.column("example")[row_id].as_py())

    def __getitem__(self, row_id: int) -> Kept:
        return _kept(*[column[row_id].as_py() for column in self._table.columns])

    def batches(self, wanted: NDArray[np.bool_] | None = None) -> Iterator[list[Kept]]:
        """All rows in order, about a thousand at a time; without the examples of rows that are not wanted."""
        first = 0
        for batch in self._table.to_batches():
            columns = (column.to_pylist() for column in batch.columns)
            needed = repeat(True) if wanted is None else wanted[first : first + batch.num_rows].tolist()
            yield [
                _kept(file, line, packed if need else None, *others)
                for need, (file, line, packed, *others) in zip(needed, zip(*columns, strict=True), strict=False)
            ]
            first += batch.num_rows


def _kept(file: int, line: int, packed: str | None, *others: Any) -> Kept:
    return Kept._make((file, line, None if packed is None else unpack(packed), *others, _hash(packed)))


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
                    ("source", pa.int16()),
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
    def sources(self) -> NDArray[np.int16]:
        """The place of every sequence's source among the training sources."""
        return self._numbers("source")

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
