"""Warm-up, then down with the root of the step's number (Vaswani et al., 2017, arXiv:1706.03762)."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from luthier.shares import share_to_steps
from luthier.training.schedules import WarmupOptions, warmed_up


class InverseSqrtOptions(WarmupOptions):
    """Warm-up, then down with the root of the step's number: at four times the warm-up it is half the peak."""

    name: Literal["inverse_sqrt"] = Field("inverse_sqrt", description="The schedule's name.")


class InverseSqrt:
    """The same as transformers' `get_inverse_sqrt_schedule`; without warm-up, with a timescale of one step."""

    Options = InverseSqrtOptions

    def __init__(self, options: InverseSqrtOptions) -> None:
        self.options = options

    def factor(self, step: int, total: int) -> float:
        """See `luthier.training.schedules.Schedule`."""
        rising, _ = warmed_up(step, total, self.options.warmup)
        if rising is not None:
            return rising
        warmup = share_to_steps(self.options.warmup, total) or 0
        timescale = max(1, warmup)
        return math.sqrt(timescale / (step - warmup + timescale))
