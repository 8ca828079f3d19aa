"""F1 of all classes together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ClassMetric, per_class, ratio
from luthier.tasks import Form


class F1Micro(ClassMetric):
    """F1 of hits, answers and support summed over the classes: every label of every row counts alike."""

    title = "micro F1"
    forms: ClassVar[Sequence[Form]] = ("plain", "labels")

    def from_totals(self, totals_k: Floats) -> Floats:
        """2 hits / (answers + support), summed over classes."""
        hits, answered, support = (count.sum(axis=-1) for count in per_class(totals_k))
        return ratio(2 * hits, answered + support)
