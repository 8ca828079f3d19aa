"""Drops rows that have little in common with what the data should be about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from luthier.data.cleaning import CleaningStep, RowSet
from luthier.data.words import plain_words
from luthier.registry import Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from luthier.data.reading.sources import RowSource

_FEATURES = 1 << 18
_BATCH = 1000
_MOST_SEEDS = 2000


class RelevanceOptions(Options):
    """TF-IDF similarity to the nearest seed text, over words and pairs of words."""

    name: Literal["relevance"] = "relevance"
    seeds: str | None = Field(
        None, description="A file of texts such as the data should have; the first 2000 are used."
    )
    terms: list[str] = Field(default_factory=list, description="Terms that the data should be about: one more seed.")
    threshold: float = Field(
        0.05, gt=0, lt=1, description="Least cosine similarity; a note says which values the rows have."
    )

    @model_validator(mode="after")
    def _has_seeds(self) -> Self:
        if not self.terms and self.seeds is None:
            raise ValueError("give seeds, or terms")
        return self


class Relevance(CleaningStep):
    """Words are hashed and weighed by how rare they are among the training rows, which are read twice."""

    Options = RelevanceOptions
    training_only = True

    def __init__(self, options: RelevanceOptions) -> None:
        super().__init__(options)
        self._note: list[str] = []

    def files(self) -> Sequence[RowSource]:
        """The file of seeds."""
        from luthier.data.cleaning._files import files_at

        return files_at(self.options.seeds) if self.options.seeds else ()

    def judge(self, rows: RowSet) -> Mapping[int, str]:
        """Rows below the threshold."""
        import numpy as np

        if not len(rows.rows):
            return {}
        weights = self._rarity(rows)
        seeds = self._weighed(self._seeds, weights)
        similarities = np.concatenate(
            [(self._weighed(texts, weights) @ seeds.T).max(axis=1).toarray()[:, 0] for texts in _batches(rows)]
        )
        low, middle = np.quantile(similarities, [0.05, 0.5])
        self._note = [
            f"relevance: half of the rows have a similarity of {middle:.3f} or more, 95 % of {low:.3f} or more"
        ]
        least = self.options.threshold
        poor = np.flatnonzero(similarities < least)
        return {
            int(rows.rows[place]): f"relevance: similarity {similarities[place]:.3f}, less than {least:g}"
            for place in poor
        }

    def notes(self) -> Sequence[str]:
        """Quantiles of the similarity, to choose a threshold by."""
        return self._note

    @cached_property
    def _seeds(self) -> list[str]:
        from luthier.data.cleaning._files import strings_in

        seeds = [" ".join(self.options.terms)] if self.options.terms else []
        if self.options.seeds:
            seeds += [text for _, text in islice(strings_in(self.options.seeds), _MOST_SEEDS)]
        return seeds

    @cached_property
    def _hashing(self) -> Any:
        from sklearn.feature_extraction.text import HashingVectorizer

        return HashingVectorizer(analyzer=_words_and_pairs, n_features=_FEATURES, alternate_sign=False, norm=None)

    def _rarity(self, rows: RowSet) -> NDArray[np.float64]:
        """Inverse document frequencies, smoothed as scikit-learn does it."""
        import numpy as np

        frequencies = np.ones(_FEATURES)
        for texts in _batches(rows):
            frequencies += np.bincount(self._hashing.transform(texts).indices, minlength=_FEATURES)
        return np.asarray(np.log((1 + len(rows.rows)) / frequencies) + 1)

    def _weighed(self, texts: Sequence[str], weights: NDArray[np.float64]) -> Any:
        from sklearn.preprocessing import normalize

        counts = self._hashing.transform(texts)
        counts.data *= weights[counts.indices]
        return normalize(counts, copy=False)


def _words_and_pairs(text: str) -> list[str]:
    words = plain_words(text)
    return [*words, *(f"{first} {second}" for first, second in pairwise(words))]


def _batches(rows: RowSet) -> Iterator[list[str]]:
    """Texts of all rows in order, streamed."""
    texts = (example.comparable for _, example in rows.examples())
    while batch := list(islice(texts, _BATCH)):
        yield batch
