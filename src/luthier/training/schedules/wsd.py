"""Warm-up, stable, decay: the peak is kept until a last part falls from it (Hu et al., 2024, arXiv:2404.06395).

The fall is 1 - sqrt by default, which Hägele et al. (2024, arXiv:2405.18392) found best.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from luthier.shares import ShareOrSteps, share_to_steps
from luthier.training.schedules import WarmupOptions, warmed_up


class WsdOptions(WarmupOptions):
    """Warm-up, then the peak, then a fall over the last part of the run (warmup, stable, decay)."""

    name: Literal["wsd"] = Field("wsd", description="The schedule's name.")
    decay: ShareOrSteps = Field(
        0.2, description="Steps of the fall at the end: a share of all steps (float up to 1) or a number."
    )
    shape: Literal["1-sqrt", "linear", "cosine"] = Field("1-sqrt", description="How it falls.")
    minimum: float = Field(0.0, ge=0, le=1, description="Where it ends, as a share of the peak learning rate.")


class Wsd:
    """With minimum 0 the same as transformers' `get_wsd_schedule`."""

    Options = WsdOptions

    def __init__(self, options: WsdOptions) -> None:
        self.options = options

    def factor(self, step: int, total: int) -> float:
        """See `luthier.training.schedules.Schedule`."""
        rising, _ = warmed_up(step, total, self.options.warmup)
        if rising is not None:
            return rising
        warmup, wanted = (share_to_steps(each, total) or 0 for each in (self.options.warmup, self.options.decay))
        decay = min(wanted, total - warmup)
        fallen = min(max(0.0, (step - (total - decay)) / decay), 1.0) if decay > 0 else 0.0
        left = {
            "1-sqrt": 1.0 - math.sqrt(fallen),
            "linear": 1.0 - fallen,
            "cosine": (1.0 + math.cos(math.pi * fallen)) / 2.0,
        }[self.options.shape]
        return self.options.minimum + (1.0 - self.options.minimum) * left
