"""What can be seen in somebody's own files, in one streaming pass: what `luthier data profile` and `new` tell."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from luthier.config import SourceConfig
from luthier.data.examples import Row
from luthier.data.formats import load_format
from luthier.data.imbalance import uneven_labels
from luthier.data.intake import sample_rows
from luthier.data.reading.files import DOCUMENTS, kind_of
from luthier.data.reading.sources import RowSource, data_files
from luthier.data.scripts import Language, language_of
from luthier.data.shapes import Column, columns_of, guess_format
from luthier.data.tally import Tally, TaskHint
from luthier.progress import Report

_TELL = 1000


@dataclass(frozen=True)
class Lengths:
    """Lengths of rows.

    Attributes:
        median: of the row in the middle.
        p95: 95 % of the rows stay within.
        longest: of the longest row.
        total: of all rows together.
    """

    median: int = 0
    p95: int = 0
    longest: int = 0
    total: int = 0

    @classmethod
    def of(cls, values: array[int]) -> Lengths:
        """Of many rows; zeros of none."""
        if not values:
            return cls()
        numbers = np.frombuffer(values, np.int64)
        p50, p95 = np.percentile(numbers, [50, 95])
        return cls(int(p50), int(p95), int(numbers.max()), int(numbers.sum()))


@dataclass(frozen=True)
class Profile:
    """What was seen in a file or a folder.

    Attributes:
        path: as the user wrote it.
        files: number of files.
        unknown_files: files in the folder of a kind that cannot be read.
        kind: json | jsonl | csv | tsv | parquet | txt, of most files.
        kinds: kind -> files.
        encoding: of the first file that is text, None for Parquet.
        encodings: encoding -> files.
        columns: of the first rows.
        format: name of the format, None when none fits.
        roles: role -> column, as the format or the values tell.
        reason: why this format, or why none.
        rows: all rows, readable or not; a row of several examples counts as so many.
        bad_rows: those that cannot be read.
        first_bad: the first ten of them, as `file:line reason`.
        bad_reasons: reason, with its numbers left out -> rows.
        labels: label -> rows, the most frequent first; empty for rows without labels.
        median, p95, longest: characters of a row's text.
        characters: all of these.
        tokens: tokens of a row's text without any template; None without a tokenizer.
        exact_duplicates: rows that say the same as an earlier one, among all.
        sampled: the first rows, among which near-duplicates were counted.
        near_duplicates: how many of these nearly say the same as an earlier one, parts of one row left out.
        language: en (or any other in plain Latin letters) | zh | other.
        scripts: script -> rows.
        mojibake: rows with characters that were read in a wrong encoding.
        repairable: those of them that the cleaning step `unicode` repairs.
        personal: kind of personal data -> {rows: that have some, found: pieces}; never the data.
        examples: the first rows as their format reads them, cut, without personal data.
        task: classification | conversation | text | unknown.
        remarks: what is worth a look, as sentences.
    """

    path: str
    files: int
    unknown_files: list[str]
    kind: str
    kinds: dict[str, int]
    encoding: str | None
    encodings: dict[str, int]
    columns: list[Column]
    format: str | None
    roles: dict[str, str]
    reason: str
    rows: int
    bad_rows: int
    first_bad: list[str]
    bad_reasons: dict[str, int]
    labels: dict[str, int]
    median: int
    p95: int
    longest: int
    characters: Lengths
    tokens: Lengths | None
    exact_duplicates: int
    sampled: int
    near_duplicates: int
    language: Language
    scripts: dict[str, int]
    mojibake: int
    repairable: int
    personal: dict[str, dict[str, int]]
    examples: list[dict[str, Any]]
    task: TaskHint
    remarks: list[str]


def profile(source: str | SourceConfig, tokenizer: Any = None, progress: Report | None = None) -> Profile:
    """Looks at a file or folder: every row is read once, none is kept but the first 20 000 texts.

    Args:
        source: a path, or a source as in a configuration, whose format and columns count.
        tokenizer: counts tokens too, when given (of `transformers`).
        progress: told how far it is.

    Raises:
        DataError: there is nothing to read at the path.
    """
    source = SourceConfig(path=source) if isinstance(source, str) else source
    path, (files, unknown) = source.path, data_files(source)
    sample = sample_rows(files)
    name, roles, columns, reason = guess_format(sample, source)
    seen = Tally(load_format(name, columns) if name else None, tokenizer)
    for file in files:
        for row in file.rows():
            seen.add(row)
            if progress and seen.rows % _TELL == 0:
                progress(f"reading {path}", seen.rows, None)
    seen.flush()
    if progress:
        progress(f"reading {path}", seen.rows, seen.rows)
    return _told(path, files, unknown, sample, (name, roles, reason), seen)


def _told(
    path: str,
    files: Sequence[RowSource],
    unknown: list[str],
    sample: Sequence[Row],
    guess: tuple[str | None, dict[str, str], str],
    seen: Tally,
) -> Profile:
    lengths, kinds = Lengths.of(seen.lengths), Counter(file.kind for file in files).most_common()
    return Profile(
        path=path,
        files=len(files),
        unknown_files=unknown,
        kind=kinds[0][0],
        kinds=dict(kinds),
        encoding=next((file.encoding for file in files if file.encoding), None),
        encodings=dict(Counter(file.encoding or "no text" for file in files).most_common()),
        columns=columns_of(sample),
        format=guess[0],
        roles=guess[1],
        reason=guess[2],
        rows=seen.rows,
        bad_rows=seen.bad,
        first_bad=seen.first_bad,
        bad_reasons=dict(seen.reasons.most_common()),
        labels=dict(seen.labels.most_common()),
        median=lengths.median,
        p95=lengths.p95,
        longest=lengths.longest,
        characters=lengths,
        tokens=None if seen.tokenizer is None else Lengths.of(seen.tokens),
        exact_duplicates=seen.exact_duplicates(),
        sampled=len(seen.texts),
        near_duplicates=seen.near_duplicates(),
        language=language_of(seen.texts),
        scripts=dict(seen.scripts.most_common()),
        mojibake=seen.mojibake,
        repairable=seen.repairable,
        personal={kind: {"rows": rows, "found": seen.found[kind]} for kind, rows in seen.personal.most_common()},
        examples=seen.examples,
        task=seen.task,
        remarks=_remarks(seen, unknown),
    )


def _remarks(seen: Tally, unknown: Sequence[str]) -> list[str]:
    """What is worth a look, each named."""
    uneven = uneven_labels(seen.labels) if seen.task == "classification" else None
    remarks = [f"label imbalance: {uneven}"] if uneven else []
    if seen.bad:
        remarks.append(f"unreadable: {seen.bad} of {seen.rows} rows, such as {seen.first_bad[0]}")
    if seen.mojibake:
        remarks.append(
            f"mojibake: {seen.mojibake} rows have characters that were read in a wrong encoding "
            f"(the cleaning step unicode repairs {seen.repairable})"
        )
    remarks += [
        f"personal data: {kind} in {rows} rows ({seen.found[kind]} found)" for kind, rows in seen.personal.most_common()
    ]
    if unknown:
        shown = ", ".join(unknown[:3]) + (", ..." if len(unknown) > 3 else "")
        documents = any(kind_of(Path(name), DOCUMENTS) for name in unknown)
        hint = "; documents among them are read with {path: ..., documents: true}" if documents else ""
        remarks.append(f"left out: {len(unknown)} files that are no rows, such as {shown}{hint}")
    return remarks
