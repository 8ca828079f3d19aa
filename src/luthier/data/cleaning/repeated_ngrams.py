"""Drops documents that repeat the same words again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from luthier.data.cleaning import CleaningStep, DroppedRow
from luthier.data.examples import Example, Row
from luthier.data.texts import texts
from luthier.data.words import plain_words
from luthier.registry import Options

_TOP = {2: 0.20, 3: 0.18, 4: 0.16}
_DUPLICATE = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
"""Most share of a text's characters, by words in a row: in the commonest of them, and in all that occur again."""


class RepeatedNgramsOptions(Options):
    """Texts in which few runs of words make up too much; the bounds are those of Gopher.

    Rae et al. 2021, Scaling Language Models (https://arxiv.org/abs/2112.11446), table A1. C4 (Raffel et al. 2020,
    https://arxiv.org/abs/1910.10683) drops repeated spans of three sentences to the same end.
    """

    name: Literal["repeated_ngrams"] = "repeated_ngrams"
    min_words: int = Field(
        50, ge=11, description="Shorter texts are not judged: in a headline every word is a large share."
    )
    scale: float = Field(
        1.0, gt=0, description="The published bounds (20 % for two words in a row, 10 % for ten) times this number."
    )


class RepeatedNgrams(CleaningStep):
    """Runs of two to four words: the commonest one. Runs of five to ten: all that occur again."""

    Options = RepeatedNgramsOptions

    def repair(self, example: Example, row: Row) -> tuple[Example, str | None]:
        """Changes nothing.

        Raises:
            DroppedRow: too much is repeated.
        """
        for text in texts(example, calls=False):
            words = plain_words(text) if len(text) >= self.options.min_words else []
            if len(words) < self.options.min_words:
                continue
            for n, most in (_TOP | _DUPLICATE).items():
                share = _top_share(words, n) if n in _TOP else _duplicate_share(words, n)
                if share > most * self.options.scale:
                    raise DroppedRow(f"repeated_ngrams: {round(100 * share)} % of the text repeats {n} words in a row")
        return example, None


def _runs(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(n)), strict=False))


def _top_share(words: Sequence[str], n: int) -> float:
    """Share of the characters in the commonest run, when it occurs more than once; at most all of them."""
    run, count = max(Counter(_runs(words, n)).items(), key=lambda item: (item[1], sum(map(len, item[0]))))
    return min(count * sum(map(len, run)) / sum(map(len, words)), 1.0) if count > 1 else 0.0


def _duplicate_share(words: Sequence[str], n: int) -> float:
    """Share of the characters in runs that stood there before; overlapping ones count once."""
    seen: set[tuple[str, ...]] = set()
    repeated = end = 0
    for start, run in enumerate(_runs(words, n)):
        if run in seen:
            repeated += sum(map(len, words[max(start, end) : start + n]))
            end = start + n
        seen.add(run)
    return repeated / sum(map(len, words))
