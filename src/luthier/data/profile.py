"""What can be seen in somebody's own file: what `luthier new` says before it writes a configuration."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from luthier.config import SourceConfig
from luthier.data.examples import (
    Conversation,
    Document,
    Example,
    Labelled,
    MultiLabelled,
    Pair,
    Preference,
    Row,
    Scored,
    TaggedWords,
    UnreadableRow,
)
from luthier.data.formats import Format, describe, detect, examples_in, load_format
from luthier.data.intake import sample_rows
from luthier.data.similarity import Signer, equal_to, nearest_earlier
from luthier.data.sources import BadRow, RowSource, data_files
from luthier.errors import DataError

Language = Literal["en", "zh", "other"]
TaskHint = Literal[
    "classification", "several labels", "scores", "tags", "pairs", "preferences", "conversation", "text", "unknown"
]

_HINTS: dict[type, TaskHint] = {
    Labelled: "classification",
    MultiLabelled: "several labels",
    Scored: "scores",
    TaggedWords: "tags",
    Pair: "pairs",
    Preference: "preferences",
    Conversation: "conversation",
    Document: "text",
}

_NEAR = 0.8
_SAMPLE = 20_000
_SAMPLE_CHARACTERS = 20_000_000
_LANGUAGE_CHARACTERS = 200_000
_EXAMPLES = 3
_FIRST = 10
_MOST_LABELS = 50
_MOST_NUMBERS = 5
_LONGEST_LABEL = 40


@dataclass(frozen=True)
class Column:
    """A column of the first rows.

    Attributes:
        name: its name.
        kind: text | number | true or false | list | object | empty | mixed.
        examples: up to three values, shortened.
    """

    name: str
    kind: str
    examples: list[str]


@dataclass(frozen=True)
class Profile:
    """What was seen in a file or a folder.

    Attributes:
        path: as the user wrote it.
        files: number of files.
        kind: json | jsonl | csv | tsv | parquet | txt, of most files.
        encoding: of the first file that is text, None for Parquet.
        columns: of the first rows.
        format: name of the format, None when none fits.
        roles: role -> column, as the format or the values tell.
        reason: why this format, or why none.
        rows: all rows, readable or not; a row of several examples counts as so many.
        bad_rows: those that cannot be read.
        first_bad: the first ten of them, as `file:line reason`.
        labels: label -> rows, the most frequent first; empty for rows without labels.
        median: characters of a row's text.
        p95: characters that 95 % of the rows stay within.
        longest: characters of the longest row.
        sampled: rows among which duplicates were counted.
        duplicates: how many of them say the same, or nearly, as an earlier one.
        language: en (or any other in plain Latin letters) | zh | other.
        task: classification | conversation | text | unknown.
    """

    path: str
    files: int
    kind: str
    encoding: str | None
    columns: list[Column]
    format: str | None
    roles: dict[str, str]
    reason: str
    rows: int
    bad_rows: int
    first_bad: list[str]
    labels: dict[str, int]
    median: int
    p95: int
    longest: int
    sampled: int
    duplicates: int
    language: Language
    task: TaskHint


def profile(path: str) -> Profile:
    """Looks at a file or folder: the row count is exact, every row is read once, none is kept.

    Raises:
        DataError: there is nothing to read at the path.
    """
    source = SourceConfig(path=path)
    files, _ = data_files(source)
    sample = sample_rows(files)
    name, roles, named, reason = _format(sample)
    form = load_format(name, {} if named else roles) if name else None
    seen = _Seen()
    for file in files:
        for row in file.rows():
            seen.add(row, form)
    lengths = np.array(seen.lengths or [0])
    return Profile(
        path=path,
        files=len(files),
        kind=Counter(file.kind for file in files).most_common(1)[0][0],
        encoding=_encoding(files),
        columns=_columns(sample),
        format=name,
        roles=roles,
        reason=reason,
        rows=seen.rows,
        bad_rows=seen.bad,
        first_bad=seen.first_bad,
        labels=dict(seen.labels.most_common()),
        median=int(np.median(lengths)),
        p95=int(np.percentile(lengths, 95)),
        longest=int(lengths.max()),
        sampled=len(seen.texts),
        duplicates=_duplicates(seen.texts),
        language=_language(seen.texts),
        task=seen.task,
    )


@dataclass
class _Seen:
    """What is counted while the rows go by."""

    rows: int = 0
    bad: int = 0
    first_bad: list[str] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    lengths: array[int] = field(default_factory=lambda: array("q"))
    texts: list[str] = field(default_factory=list)
    characters: int = 0
    kinds: Counter[TaskHint] = field(default_factory=Counter)

    def add(self, row: Row | BadRow, form: Format | None) -> None:
        self.rows += 1
        if isinstance(row, BadRow):
            self._bad(row.file, row.line, row.reason)
        elif form is not None:
            try:
                parts = examples_in(form, row)
            except UnreadableRow as error:
                parts = [error]
            self.rows += len(parts) - 1
            for part in parts:
                if isinstance(part, UnreadableRow):
                    self._bad(row.file, row.line, str(part))
                else:
                    self._example(part)

    def _bad(self, file: str, line: int, reason: str) -> None:
        self.bad += 1
        if len(self.first_bad) < _FIRST:
            self.first_bad.append(f"{file}:{line} {reason}")

    def _example(self, example: Example) -> None:
        text = example.comparable
        self.lengths.append(len(text))
        self.labels.update(example.classes)
        self.kinds[_HINTS[type(example)]] += 1
        if len(self.texts) < _SAMPLE and self.characters < _SAMPLE_CHARACTERS:
            self.texts.append(text)
            self.characters += len(text)

    @property
    def task(self) -> TaskHint:
        return self.kinds.most_common(1)[0][0] if self.kinds else "unknown"


def _format(rows: Sequence[Row]) -> tuple[str | None, dict[str, str], bool, str]:
    """Format, roles, whether the columns' names alone told them, and the reason: by names, else by values."""
    if not rows:
        return None, {}, True, "no row could be read"
    try:
        name, reason = detect(rows, {})
    except DataError as error:
        roles = _roles_by_values(rows)
        if roles is None:
            return None, {}, True, error.found
        text, label = roles.values()
        return "labelled", roles, False, f"labelled: '{label}' has few values, '{text}' is the longest text"
    form = load_format(name, {})
    for row in rows:
        try:
            return name, form.roles(row), True, reason
        except UnreadableRow:
            continue
    return name, {}, True, reason


def _roles_by_values(rows: Sequence[Row]) -> dict[str, str] | None:
    """A text column and a label column by what stands in them, for names that say nothing."""
    columns: dict[str, list[str]] = {}
    for row in rows:
        for name, value in row.values.items():
            if isinstance(value, str | int) and str(value).strip():
                columns.setdefault(name, []).append(str(value).strip())
    full = {name: values for name, values in columns.items() if len(values) >= 0.9 * len(rows)}
    texts = {name: sum(map(len, values)) / len(values) for name, values in full.items()}
    few = {name: len(set(values)) for name, values in full.items() if _like_labels(values)}
    text = max(texts, key=lambda name: texts[name], default=None)
    label = min((name for name in few if name != text), key=lambda name: few[name], default=None)
    if text is None or label is None or texts[text] < 15:
        return None
    return {"text": text, "label": label}


def _like_labels(values: Sequence[str]) -> bool:
    """Few, short and each repeated; numbers only when they number classes, for others count or measure something."""
    distinct = set(values)
    most = _MOST_LABELS
    if all(_kind(value) == "number" for value in distinct):
        most = _MOST_NUMBERS if min(map(float, distinct)) in (-1, 0, 1) else 0
    return 1 < len(distinct) <= min(most, len(values) // 3) and max(map(len, distinct)) <= _LONGEST_LABEL


def _columns(rows: Sequence[Row]) -> list[Column]:
    names = dict.fromkeys(str(name) for row in rows for name in row.values)
    return [_column(name, [row.values.get(name) for row in rows]) for name in names]


def _column(name: str, values: Sequence[Any]) -> Column:
    filled = [value for value in values if value is not None and value != ""]
    kinds = {_kind(value) for value in filled}
    kind = "empty" if not kinds else kinds.pop() if len(kinds) == 1 else "mixed"
    shown = list(dict.fromkeys(_short(value) for value in filled))[:_EXAMPLES]
    return Column(name, kind, shown)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return "text"
        return "number"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "number"
    return describe(value).removeprefix("a ").removeprefix("an ")


def _short(value: Any, limit: int = 60) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _encoding(files: Sequence[RowSource]) -> str | None:
    return next((file.encoding for file in files if file.encoding), None)


def _duplicates(texts: Sequence[str]) -> int:
    """Rows of the sample that say the same as an earlier one, exactly or nearly."""
    signer = Signer()
    for start in range(0, len(texts), 1000):
        signer.add(texts[start : start + 1000])
    signatures = signer.finish()
    rows = np.arange(len(texts))
    first = equal_to(signatures, rows, rows) == rows
    return int((~first).sum()) + len(nearest_earlier(signatures, rows[first], _NEAR, texts.__getitem__))


def _language(texts: Sequence[str]) -> Language:
    """By the letters: Chinese characters, or nearly all plain Latin ones."""
    letters = [character for character in "".join(texts)[:_LANGUAGE_CHARACTERS] if character.isalpha()]
    if not letters:
        return "other"
    chinese = sum("\u4e00" <= character <= "\u9fff" for character in letters) / len(letters)
    kana = sum("\u3040" <= character <= "\u30ff" for character in letters) / len(letters)
    if chinese > 0.3 and kana < 0.05:
        return "zh"
    return "en" if sum(map(str.isascii, letters)) > 0.98 * len(letters) else "other"
