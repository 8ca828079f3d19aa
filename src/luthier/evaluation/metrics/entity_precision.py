"""Share of the answered entities that are right."""

from __future__ import annotations

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ratio
from luthier.evaluation.metrics._tags import EntityMetric


class EntityPrecision(EntityMetric):
    """Entities with the right words and type over all that were answered; 0 without any."""

    title = "entity precision"

    def from_totals(self, totals_k: Floats) -> Floats:
        """Right over answered."""
        return ratio(totals_k[..., 0], totals_k[..., 1])
