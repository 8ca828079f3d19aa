"""Share of right answers."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ClassMetric, class_codes, per_class
from luthier.tasks import Prediction


class Accuracy(ClassMetric):
    """Right answers over all rows; an invalid answer is a wrong one."""

    title = "accuracy"

    def from_totals(self, totals_k: Floats) -> Floats:
        """Hits over support."""
        hits, _, support = per_class(totals_k)
        accuracy: Floats = hits.sum(axis=-1) / support.sum(axis=-1)
        return accuracy

    def value(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> float:
        """By scikit-learn's `accuracy_score`."""
        from sklearn.metrics import accuracy_score

        _, expected, answered = class_codes(predictions, labels)
        return float(accuracy_score(expected, answered))
