"""Texts to answer: one a line, or the `text` of a JSON object on each line."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from luthier.data.examples import BadRow, Row, UnreadableRow
from luthier.data.formats import text_in
from luthier.data.reading.files import DataFile
from luthier.errors import DataError


def read_questions(source: Path | bytes) -> list[str]:
    """All texts in order, read as files of rows are: in any encoding, lines ending where the file ends them.

    Args:
        source: a file, or what came through a pipe.

    Raises:
        DataError: a line cannot be read, or is a JSON object without a `text`.
    """
    if isinstance(source, bytes):
        file: DataFile = _Piped(Path("-"), "standard input", "txt", content=source)
    else:
        file = DataFile(source, str(source), "txt")
    return [_question(row) for row in file.rows()]


@dataclass(eq=False)
class _Piped(DataFile):
    """What came through a pipe, as a file."""

    content: bytes = b""

    def open(self) -> BinaryIO:
        return io.BytesIO(self.content)


def _question(row: Row | BadRow) -> str:
    where = f"{row.file}:{row.line}"
    if isinstance(row, BadRow):
        raise DataError(row.reason, where=where)
    line = str(row.values["text"])
    if not line.startswith("{"):
        return line
    try:
        return text_in(json.loads(line)["text"], "text")
    except (ValueError, RecursionError, KeyError, UnreadableRow) as error:
        raise DataError("a line looks like JSON but has no `text`", where=where) from error
