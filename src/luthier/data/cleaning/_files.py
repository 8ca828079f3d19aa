"""Files that steps read beside the data: seeds, terms, benchmarks. Any kind of file that rows can stand in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from luthier.config import SourceConfig
from luthier.data.examples import Row
from luthier.data.reading.sources import RowSource, data_files, read_rows


def files_at(path: str) -> Sequence[RowSource]:
    """The files at a path, which may be a folder.

    Raises:
        DataError: there is nothing to read.
    """
    return data_files(SourceConfig(path=path))[0]


def strings_in(path: str) -> Iterator[tuple[str, str]]:
    """Every text in every row, however deep, as (`file:line`, text).

    Raises:
        DataError: there is nothing to read.
    """
    for row in read_rows(SourceConfig(path=path)):
        if isinstance(row, Row):
            place = f"{Path(row.file).name}:{row.line}"
            yield from ((place, text) for text in _strings(row.values))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip():
            yield value.strip()
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
