"""Pearson's correlation of expected and answered numbers."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._numbers import Correlation, moments, numbers
from luthier.tasks import Prediction


class Pearson(Correlation):
    """How well answers follow a straight line of the expected numbers, -1 to 1; 0 where one of both never changes."""

    title = "Pearson correlation"

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 6]: the moments of expected and answered numbers."""
        return moments(*numbers(predictions))
