"""Which words tell the label: they carry what is to be learned, so they stay as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from math import sqrt

from luthier.data.augmentation import asked_text
from luthier.data.examples import Example

_SEEN = 5
_DEVIATION = 3.0
_LIFT = 1.5
_MOST = 2_000_000


def telling_words(examples: Iterable[Example], words_of: Callable[[str], Iterable[str]]) -> set[str]:
    """Words of at least five rows that stand beside one label more often than chance would have it: by three standard
    deviations, and by half. Rows without a label tell nothing.

    Args:
        examples: the training rows.
        words_of: the words of a text.
    """
    labels: Counter[str] = Counter()
    words: Counter[str] = Counter()
    together: Counter[tuple[str, str]] = Counter()
    for example in examples:
        text = asked_text(example)
        if text is None or not example.classes:
            continue
        here = set(words_of(text))
        labels.update(example.classes)
        words.update(here)
        together.update((word, label) for word in here for label in example.classes)
        if len(together) > _MOST:  # bounded memory: what was met once among millions tells nothing
            together = Counter({pair: count for pair, count in together.items() if count > 1})
            words = Counter({word: count for word, count in words.items() if count > 1})
    total = sum(labels.values())
    return {word for (word, label), count in together.items() if _tells(count, words[word], labels[label] / total)}


def _tells(count: int, rows: int, share: float) -> bool:
    """Whether `count` of `rows` rows have a label that a `share` of all rows has, and it is no chance."""
    expected = rows * share
    deviation = sqrt(expected * (1 - share))
    return rows >= _SEEN and count > _LIFT * expected and count - expected > _DEVIATION * deviation
