"""Warm-up, then half a cosine down to a minimum, once or in several cycles.

Loshchilov and Hutter, 2017, arXiv:1608.03983.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from luthier.training.schedules import WarmupOptions, warmed_up


class CosineOptions(WarmupOptions):
    """Warm-up, then half a cosine down to a minimum."""

    name: Literal["cosine"] = Field("cosine", description="The schedule's name.")
    minimum: float = Field(0.0, ge=0, le=1, description="Where it ends, as a share of the peak learning rate.")
    cycles: int = Field(
        1, ge=1, description="How often it falls: with more than one it starts again at the peak, and ends low."
    )


class Cosine:
    """With minimum 0 the same as transformers' `get_cosine_with_hard_restarts_schedule_with_warmup`."""

    Options = CosineOptions

    def __init__(self, options: CosineOptions) -> None:
        self.options = options

    def factor(self, step: int, total: int) -> float:
        """See `luthier.training.schedules.Schedule`."""
        rising, done = warmed_up(step, total, self.options.warmup)
        if rising is not None:
            return rising
        lowest = self.options.minimum
        of_cycle = (self.options.cycles * done) % 1.0 if done < 1.0 else 1.0
        return lowest + (1.0 - lowest) * (1.0 + math.cos(math.pi * of_cycle)) / 2.0
