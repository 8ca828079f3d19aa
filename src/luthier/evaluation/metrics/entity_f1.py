"""F1 of entities."""

from __future__ import annotations

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._classes import ratio
from luthier.evaluation.metrics._tags import EntityMetric


class EntityF1(EntityMetric):
    """Harmonic mean of entity precision and recall over all entities together (micro average).

    As Tjong Kim Sang and De Meulder (2003), "Introduction to the CoNLL-2003 Shared Task", count them.
    """

    title = "entity F1"

    def from_totals(self, totals_k: Floats) -> Floats:
        """2 right / (answered + expected)."""
        return ratio(2 * totals_k[..., 0], totals_k[..., 1] + totals_k[..., 2])
