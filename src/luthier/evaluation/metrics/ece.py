"""Expected calibration error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._calibration import BINS, CalibrationError
from luthier.tasks import Prediction


class Ece(CalibrationError):
    """How far confidence and share of right answers are apart, in 15 equally wide bins: 0 where a model that is 80 %
    sure is right 80 % of the time (Naeini et al. 2015; Guo et al. 2017).

    Few rows make it too high, and resampling, which makes rows fewer, more so: its interval may lie above the value.
    """

    title = "calibration error"

    def edges(self, confidence_n: Floats) -> Floats:
        """From 0 to 1."""
        return np.linspace(0.0, 1.0, BINS + 1)


class Bin(TypedDict):
    """A bin that has rows: how many, their mean confidence, and the share of them that is right."""

    rows: int
    confidence: float
    right: float


def reliability(predictions: Sequence[Prediction], labels: Sequence[str]) -> list[Bin]:
    """What a reliability diagram shows, by rising confidence."""
    totals_k = Ece().counts(predictions, labels).sum(axis=0)
    return [
        {"rows": int(rows), "confidence": float(confidence / rows), "right": float(right / rows)}
        for confidence, right, rows in zip(*np.split(totals_k, 3), strict=True)
        if rows
    ]
