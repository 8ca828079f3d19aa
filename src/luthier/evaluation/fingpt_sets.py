"""The four test sets of FinGPT's benchmark of financial sentiment, read from their published files; published scores.

Yang, Liu and Wang (2023), "FinGPT: Open-Source Financial Large Language Models"; the code is in
https://github.com/AI4Finance-Foundation/FinGPT, fingpt/FinGPT_Benchmark/benchmarks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from luthier.config import SourceConfig
from luthier.data.examples import BadRow, Row
from luthier.data.reading.sources import data_files
from luthier.errors import DataError

LABELS = ("negative", "neutral", "positive")
SEED = 42

PUBLISHED = {
    "FinGPT v3.3 (Llama-2-13B)": {"fpb": 0.882, "fiqa": 0.874, "tfns": 0.903, "nwgi": 0.643},
    "FinGPT v3.2 (Llama-2-7B)": {"fpb": 0.850, "fiqa": 0.860, "tfns": 0.894, "nwgi": 0.632},
    "FinGPT v3.1 (ChatGLM2-6B)": {"fpb": 0.855, "fiqa": 0.850, "tfns": 0.875, "nwgi": 0.642},
    "FinGPT v3.1.2 (ChatGLM2-6B, QLoRA)": {"fpb": 0.777, "fiqa": 0.752, "tfns": 0.828, "nwgi": 0.583},
    "OpenAI fine-tune": {"fpb": 0.878, "fiqa": 0.887, "tfns": 0.883},
    "GPT-4": {"fpb": 0.833, "fiqa": 0.630, "tfns": 0.808},
    "ChatGPT": {"fpb": 0.781, "fiqa": 0.730, "tfns": 0.736},
    "FinBERT": {"fpb": 0.880, "fiqa": 0.596, "tfns": 0.733, "nwgi": 0.538},
    "BloombergGPT (50B, 5 shots)": {"fpb": 0.511, "fiqa": 0.751},
    "Llama-2-7B, untuned": {"fpb": 0.390, "fiqa": 0.800, "tfns": 0.296, "nwgi": 0.503},
    "ChatGLM2-6B, untuned": {"fpb": 0.381, "fiqa": 0.790, "tfns": 0.189, "nwgi": 0.449},
}
"""Published weighted F1. FinGPT and the OpenAI fine-tune learned from the training part of all four sets."""

SOURCE = "https://github.com/AI4Finance-Foundation/FinGPT/blob/master/fingpt/FinGPT_v3/README.md"
"""Where the published numbers stand."""


@dataclass(frozen=True)
class Item:
    """A text of a test set with its right label; `kind` is what FinGPT's prompt calls it."""

    text: str
    label: str
    kind: str = "news"


def _by_sign(value: Any) -> str:
    score = float(value)
    return "negative" if score < -0.1 else "neutral" if score < 0.1 else "positive"


_NAMED = {label: label for label in LABELS}
_SEVEN = {
    "strong negative": "negative",
    "moderately negative": "negative",
    "mildly negative": "neutral",
    "neutral": "neutral",
    "mildly positive": "neutral",
    "moderately positive": "positive",
    "strong positive": "positive",
}


def _from(names: Mapping[str, str]) -> Callable[[Any], str]:
    return lambda value: names[str(value).strip().lower()]


@dataclass(frozen=True)
class SentimentSet:
    """One of the four sets.

    Attributes:
        title: what it is called.
        held_out: share of the published rows that FinGPT tests on; None where the test rows are a file of their own.
        texts: columns that may hold the text.
        labels: columns that may hold the label.
        label: a label out of such a column; raises KeyError or ValueError for anything else.
        kind: news or tweet; `by_format` where a column `format` says post for a tweet.
    """

    title: str
    held_out: float | None
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    label: Callable[[Any], str]
    kind: str = "news"


_TEXTS = ("sentence", "text", "input")
_LABELS = ("label", "output", "sentiment")

SETS = {
    "fpb": SentimentSet(
        "FPB", 0.25, _TEXTS, _LABELS, _from(_NAMED | {"0": "negative", "1": "neutral", "2": "positive"})
    ),
    "fiqa": SentimentSet("FiQA-SA", 0.226, _TEXTS, ("sentiment_score", "score"), _by_sign, "by_format"),
    "tfns": SentimentSet(
        "TFNS", None, _TEXTS, _LABELS, _from(_NAMED | {"0": "negative", "1": "positive", "2": "neutral"}), "tweet"
    ),
    "nwgi": SentimentSet("NWGI", None, ("news", *_TEXTS), _LABELS, _from(_SEVEN)),
}
"""FPB is the 50 % agreement set of Financial PhraseBank in its file's order, FiQA-SA all three published parts one
behind the other, TFNS the validation part, NWGI the test part.
"""


def read_items(name: str, paths: Sequence[str], *, as_given: bool = False) -> list[Item]:
    """The rows of a test set that FinGPT tests on.

    Args:
        name: fpb, fiqa, tfns or nwgi.
        paths: its published files, in order; any kind of file that data may have, and PhraseBank's own.
        as_given: all rows of the files.

    Raises:
        DataError: a row cannot be read, or has another label.
    """
    chosen = SETS[name]
    items = [_item(chosen, row) for path in paths for row in _rows(path)]
    if as_given or chosen.held_out is None:
        return items
    return [items[place] for place in held_out(len(items), chosen.held_out)]


def held_out(rows: int, share: float) -> list[int]:
    """Which rows `train_test_split(share, seed=42)` of the `datasets` library takes for the test, in its order."""
    order = np.random.default_rng(SEED).permutation(rows)
    return [int(place) for place in order[: math.ceil(share * rows)]]


def _rows(path: str) -> Iterator[Row]:
    """Rows with a text and a label; a line of PhraseBank is parted at its last `@`."""
    for file in data_files(SourceConfig(path=path))[0]:
        for row in file.rows():
            if isinstance(row, BadRow):
                raise DataError(f"a row cannot be read: {row.reason}", where=f"{row.file}:{row.line}")
            if set(row.values) == {"text"} and "@" in str(row.values["text"]):
                text, _, label = str(row.values["text"]).rpartition("@")
                row = replace(row, values={"text": text, "label": label})
            yield row


def _item(chosen: SentimentSet, row: Row) -> Item:
    text = next((row.values[name] for name in chosen.texts if row.values.get(name)), None)
    value = next((row.values[name] for name in chosen.labels if row.values.get(name) is not None), None)
    if text is None or value is None:
        raise DataError(
            f"a row of {chosen.title} has no text or no label",
            where=f"{row.file}:{row.line}",
            expected=f"a column {' or '.join(chosen.texts)}, and a column {' or '.join(chosen.labels)}",
        )
    try:
        label = chosen.label(value)
    except (KeyError, ValueError):
        raise DataError(f"'{str(value)[:60]}' is no label of {chosen.title}", where=f"{row.file}:{row.line}") from None
    kind = chosen.kind
    if kind == "by_format":
        kind = "tweet" if row.values.get("format") == "post" else "news"
    return Item(str(text), label, kind)
