"""chrF, by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from luthier.evaluation.metrics._free import SacreBleuMetric

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as SacreMetric


class Chrf(SacreBleuMetric):
    """Corpus chrF2 (Popović 2015): character n-grams, so it suits any language and short answers."""

    title = "chrF"

    def scorer(self, answers: Sequence[str]) -> SacreMetric:
        """sacrebleu's chrF with its defaults."""
        from sacrebleu.metrics.chrf import CHRF

        return CHRF()
