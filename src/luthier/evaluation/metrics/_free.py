"""What metrics of free answers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from luthier.evaluation.metrics import Floats, Metric
from luthier.tasks import Prediction

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as SacreMetric

Gram = tuple[str, ...]
"""Words that follow each other."""


def references(predictions: Sequence[Prediction]) -> list[str]:
    """The right answers, in order."""
    return [row.expected or "" for row in predictions]


def written(predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
    """Whether there are no labels, and the model was made to answer at all."""
    return not labels and any(row.parsed is not None and row.form == "plain" for row in predictions)


def grams(words: Sequence[str], n: int) -> Counter[Gram]:
    """How often every n words follow each other."""
    return Counter(zip(*(words[start:] for start in range(n)), strict=False))


class FreeMetric(Metric, ABC):
    """A metric of answers that are text, not one of some labels, and of the right ones."""

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether there are no labels, every row has a right answer, and the model was made to answer at all."""
        return written(predictions, labels) and all(row.expected is not None for row in predictions)


class AnswerMetric(Metric, ABC):
    """A metric of answers that are text, by themselves: no right ones are needed."""

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether there are no labels, and the model was made to answer at all."""
        return written(predictions, labels)


class RowMean(Metric, ABC):
    """A metric that is the mean of a number of each answer."""

    @abstractmethod
    def of(self, answer: str, expected: str) -> float:
        """The number of one answer."""

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 2]: the number, one."""
        return np.array([[self.of(row.raw, row.expected or ""), 1] for row in predictions], dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Sum over rows."""
        mean: Floats = totals_k[..., 0] / totals_k[..., 1]
        return mean


class SacreBleuMetric(FreeMetric, ABC):
    """A corpus score of sacrebleu, 0 to 100: a formula over summed counts of sentences, as the bootstrap needs."""

    @abstractmethod
    def scorer(self, answers: Sequence[str]) -> SacreMetric:
        """sacrebleu's scorer for answers such as these."""

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, k]: sacrebleu's own statistics of each sentence, which its bootstrap uses too."""
        right = references(predictions)
        rows = self.scorer(right)._extract_corpus_statistics([row.raw for row in predictions], [right])
        return np.array(rows, dtype=np.float64)

    def from_totals(self, totals_k: Floats) -> Floats:
        """sacrebleu's formula on each line of totals."""
        scorer = self.scorer([])
        rows = totals_k.reshape(-1, totals_k.shape[-1]).round().astype(int).tolist()
        scores = [scorer._compute_score_from_stats(row).score for row in rows]
        return np.array(scores, dtype=np.float64).reshape(totals_k.shape[:-1])

    def value(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> float:
        """By sacrebleu's `corpus_score`."""
        right = references(predictions)
        return float(self.scorer(right).corpus_score([row.raw for row in predictions], [right]).score)

    def signature(self, predictions: Sequence[Prediction]) -> str:
        """sacrebleu's own, such as `nrefs:1|case:mixed|eff:no|tok:zh|smooth:exp|version:2.6.0`."""
        right = references(predictions)
        scorer = self.scorer(right)
        scorer.corpus_score([predictions[0].raw], [right[:1]])  # it counts the references of what it scored last
        return str(scorer.get_signature())
