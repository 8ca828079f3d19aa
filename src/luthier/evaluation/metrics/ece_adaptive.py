"""Calibration error in bins with equally many rows."""

from __future__ import annotations

import numpy as np

from luthier.evaluation.metrics import Floats
from luthier.evaluation.metrics._calibration import BINS, CalibrationError


class EceAdaptive(CalibrationError):
    """How far confidence and share of right answers are apart, in 15 bins with equally many rows (Nguyen and O'Connor
    2015): most of a tuned model's confidences lie near 1, in one bin of those that are equally wide.
    """

    title = "calibration error, adaptive"

    def edges(self, confidence_n: Floats) -> Floats:
        """Quantiles of the confidences."""
        edges: Floats = np.quantile(confidence_n, np.linspace(0.0, 1.0, BINS + 1))
        return edges
