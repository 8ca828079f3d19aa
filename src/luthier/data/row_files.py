"""New files of rows: JSON Lines, and for rows without lists and objects in them also CSV and Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from luthier.config import SourceConfig
from luthier.data.examples import UnwritableExample
from luthier.data.reading.files import DataFile
from luthier.data.reading.sources import data_files
from luthier.errors import ConfigError

WriteRow = Callable[[dict[str, Any]], None]

_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}
_BATCH = 10_000
_to_json = json.JSONEncoder(ensure_ascii=False, default=str).encode


def kind_of_new(path: Path) -> str:
    """What a new file is to be, by its suffix: jsonl | csv | parquet.

    Raises:
        ConfigError: it is another one.
    """
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(
            f"'{path}' is no file that rows are written to", expected=f"a name that ends in {', '.join(_SUFFIXES)}"
        )
    return kind


def refuse_what_is_read(outputs: Sequence[Path], sources: Sequence[SourceConfig]) -> None:
    """Stops before a file that rows are read from would be written over.

    Raises:
        ConfigError: an output is a source, or a file of a folder that is one.
        DataError: there is nothing to read in such a folder.
    """
    read = {path.resolve() for source in sources for path in _files_of(source)}
    for output in outputs:
        if output.resolve() in read:
            raise ConfigError(f"'{output}' is read: it cannot be written at the same time", hint="give another name")


def _files_of(source: SourceConfig) -> list[Path]:
    path = Path(source.path).expanduser()
    if not path.is_dir():
        return [path]
    return [file.path for file in data_files(source)[0] if isinstance(file, DataFile)]


def fitting(row: dict[str, Any], kind: str) -> dict[str, Any]:
    """The row, when such a file has room for it.

    Raises:
        UnwritableExample: a column is a list or an object, and the file is a table.
    """
    nested = [name for name, value in row.items() if isinstance(value, list | dict)] if kind != "jsonl" else []
    if nested:
        raise UnwritableExample(f"column '{nested[0]}' has parts, for which {kind} has no room: write .jsonl")
    return row


@contextmanager
def writing_rows(path: Path, kind: str) -> Iterator[WriteRow]:
    """Gives a function that writes a row to a new file.

    The columns of a table are known when the last row is: rows wait in a file without a name until then.
    """
    if kind == "jsonl":
        with path.open("w", encoding="utf-8") as file:
            yield lambda row: _add(file, row)
        return
    types: dict[str, set[type]] = {}
    with TemporaryFile("w+", encoding="utf-8", dir=path.parent) as waiting:

        def write(row: dict[str, Any]) -> None:
            for name, value in row.items():
                types.setdefault(name, set()).add(type(value))
            _add(waiting, row)

        yield write
        waiting.seek(0)
        _TABLES[kind](path, types, map(json.loads, waiting))


def _add(file: IO[str], row: dict[str, Any]) -> None:
    file.write(_to_json(row) + "\n")


def _csv(path: Path, types: Mapping[str, set[type]], rows: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(types), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _parquet(path: Path, types: Mapping[str, set[type]], rows: Iterator[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [(name, pa.float64() if found <= {int, float} else pa.string()) for name, found in types.items()]
    )
    with pq.ParquetWriter(path, schema) as table:
        while batch := list(islice(rows, _BATCH)):
            table.write_table(pa.Table.from_pylist(batch, schema))


_TABLES = {"csv": _csv, "parquet": _parquet}
