"""Sentences as CoNLL files have them: a word a line, its tag in the last column, an empty line between sentences.

-DOCSTART- -X- O O

Nokia NNP B-NP B-ORG
rose  VBD B-VP O
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from luthier.data.reading.lines import Line

DOCUMENT = "-DOCSTART-"
"""The first column of a line that begins a document: no word."""


@dataclass(slots=True)
class Sentence:
    """Words and tags.

    Attributes:
        line: 1-based line of its first word.
        problem: why it cannot be used, None when it can.
    """

    line: int
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    problem: str | None = None


def read_conll(lines: Iterable[Line]) -> Iterator[Sentence]:
    """All sentences; a broken line breaks its own. Columns are parted by tabs, or by spaces where there is no tab."""
    sentence: Sentence | None = None
    for line in lines:
        if not line.problem and not line.text.strip():
            if sentence:
                yield sentence
            sentence = None
            continue
        columns = line.text.split("\t") if "\t" in line.text else line.text.split()
        if not line.problem and (columns[0] == DOCUMENT or (sentence is None and columns[0] == "#")):
            continue
        sentence = sentence or Sentence(line.number)
        sentence.problem = sentence.problem or line.problem
        if not line.problem and len(columns) < 2:
            sentence.problem = sentence.problem or f"line {line.number} has a word without a tag"
        sentence.words.append(columns[0] if columns else "")
        sentence.tags.append(columns[-1].strip() if columns else "")
    if sentence:
        yield sentence
