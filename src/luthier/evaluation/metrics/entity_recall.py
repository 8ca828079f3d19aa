"""Share of the expected entities that were found."""

from __future__ import annotations

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ratio
from luthier.evaluation.metrics._tags import EntityMetric


class EntityRecall(EntityMetric):
    """Entities with the right words and type over all that were expected; 0 without any."""

    title = "entity recall"

    def from_totals(self, totals_k: Floats) -> Floats:
        """Right over expected."""
        return ratio(totals_k[..., 0], totals_k[..., 2])
