"""BLEU, by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from luthier.data.words import is_cjk
from luthier.evaluation.metrics._free import SacreBleuMetric

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as SacreMetric


class Bleu(SacreBleuMetric):
    """Corpus BLEU-4 as sacrebleu gives it (Post 2018); Chinese references are split into characters (`zh`)."""

    title = "BLEU"

    def scorer(self, answers: Sequence[str]) -> SacreMetric:
        """sacrebleu's BLEU with the tokeniser of the references' language."""
        from sacrebleu.metrics.bleu import BLEU

        return BLEU(tokenize="zh" if is_cjk(answers) else "13a")
