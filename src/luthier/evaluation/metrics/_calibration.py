"""What metrics of calibration share: probabilities of the labels, and rows in bins of like confidence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats, Metric
from luthier.tasks import Prediction

BINS = 15
"""As Guo et al. (2017), "On Calibration of Modern Neural Networks", have it."""


def probabilities(predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
    """Probability of every label, [n, c]: the labels' scores, so that those of a row sum to one."""
    scores_nc = np.array([[row.scores[label] for label in labels] for row in predictions])
    likely_nc: Floats = np.exp(scores_nc - scores_nc.max(axis=1, keepdims=True))
    shares_nc: Floats = likely_nc / likely_nc.sum(axis=1, keepdims=True)
    return shares_nc


class ProbabilityMetric(Metric, ABC):
    """A metric of how probable a model holds the labels."""

    higher_is_better = False

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether one label is right of every row, and all labels were scored."""
        known = all(row.form == "plain" and row.expected is not None for row in predictions)
        return bool(labels and predictions) and known and all(set(labels) <= row.scores.keys() for row in predictions)


class CalibrationError(ProbabilityMetric, ABC):
    """How far confidence and share of right answers are apart, mean of the bins, each by its rows.

    The confidence of an answer is the probability of its label.
    """

    @abstractmethod
    def edges(self, confidence_n: Floats) -> Floats:
        """Where bins end, [`BINS` + 1]; a bin holds its upper edge."""

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 3 `BINS`]: for every bin the confidence, then whether right, then one; zero in all other bins."""
        confidence_n = probabilities(predictions, labels).max(axis=1)
        right_n = np.array([row.parsed == row.expected for row in predictions], dtype=np.float64)
        bins_n = np.searchsorted(self.edges(confidence_n)[1:-1], confidence_n)
        inside_nb = np.eye(BINS)[bins_n]
        return np.concatenate([inside_nb * confidence_n[:, None], inside_nb * right_n[:, None], inside_nb], axis=1)

    def from_totals(self, totals_k: Floats) -> Floats:
        """Sum of |confidence - right| over rows."""
        confidence, right, rows = np.split(totals_k, 3, axis=-1)
        error: Floats = np.abs(confidence - right).sum(axis=-1) / rows.sum(axis=-1)
        return error
