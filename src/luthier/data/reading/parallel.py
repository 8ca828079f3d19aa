"""Two files with the same text in two languages, line by line: `news.{en,zh}` stands for `news.en` and `news.zh`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from luthier.data.examples import BadRow, Row
from luthier.data.reading.files import DataFile
from luthier.data.reading.lines import BROKEN, Line, read_lines

PATTERN = re.compile(r"(.*)\{([^{},]+),([^{},]+)\}(.*)")
"""A path with two alternatives, which also name the columns."""


@dataclass(eq=False)
class ParallelFiles:
    """Two files whose lines belong together.

    Attributes:
        name: the path with its alternatives, as the user wrote it.
        files: column -> file; two of them.
    """

    name: str
    files: dict[str, DataFile]
    kind: str = "parallel"

    @classmethod
    def at(cls, path: str, encoding: str) -> ParallelFiles | None:
        """The two files of a path with alternatives; None when it has none, or the files are not there."""
        found = PATTERN.fullmatch(path)
        if not found:
            return None
        before, one, other, after = found.groups()
        paths = {name: Path(f"{before}{name}{after}").expanduser() for name in (one, other)}
        if not all(place.is_file() for place in paths.values()):
            return None
        return cls(path, {name: DataFile(place, str(place), "txt", encoding) for name, place in paths.items()})

    @property
    def encoding(self) -> str | None:
        """That of the file which is not UTF-8, when one is not."""
        found = [file.encoding for file in self.files.values()]
        return next((encoding for encoding in found if encoding != "utf-8"), "utf-8")

    def digest(self) -> str:
        """Hash of both files."""
        return hashlib.sha256("".join(file.digest() for file in self.files.values()).encode()).hexdigest()

    def rows(self) -> Iterator[Row | BadRow]:
        """A row a pair of lines, but for those that are empty in both files."""
        (one, first), (other, second) = self.files.items()
        for name, file in self.files.items():
            if file.encoding is None:
                yield BadRow(self.name, 1, f"the file of {name} is binary, not text")
                return
        number = 0
        try:
            with first.open() as left, second.open() as right:
                lines = zip_longest(read_lines(left, first.encoding or ""), read_lines(right, second.encoding or ""))
                for number, pair in enumerate(lines, start=1):
                    if row := self._row(number, {one: pair[0], other: pair[1]}):
                        yield row
        except BROKEN as error:
            yield BadRow(self.name, number + 1, f"the files cannot be read further: {error}")
        if not number:
            yield BadRow(self.name, 1, "the files have no lines")

    def _row(self, number: int, lines: dict[str, Line | None]) -> Row | BadRow | None:
        for name, line in lines.items():
            if line is None:
                return BadRow(self.name, number, f"the file of {name} ends before this line")
            if line.problem:
                return BadRow(self.name, number, f"{line.problem}, in the file of {name}")
        texts = {name: line.text for name, line in lines.items() if line}
        return Row(texts, self.name, number) if any(text.strip() for text in texts.values()) else None
