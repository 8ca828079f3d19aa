"""Warm-up, then down to a minimum along a power of what is left (as in BERT's training, arXiv:1810.04805, power 1)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from luthier.training.schedules import WarmupOptions, warmed_up


class PolynomialOptions(WarmupOptions):
    """Warm-up, then down to a minimum along a power of what is left."""

    name: Literal["polynomial"] = Field("polynomial", description="The schedule's name.")
    power: float = Field(2.0, gt=0, description="1 is a straight line; above it most of the way is fallen early.")
    minimum: float = Field(0.0, ge=0, le=1, description="Where it ends, as a share of the peak learning rate.")


class Polynomial:
    """The same as transformers' `get_polynomial_decay_schedule_with_warmup`."""

    Options = PolynomialOptions

    def __init__(self, options: PolynomialOptions) -> None:
        self.options = options

    def factor(self, step: int, total: int) -> float:
        """See `luthier.training.schedules.Schedule`."""
        rising, done = warmed_up(step, total, self.options.warmup)
        if rising is not None:
            return rising
        lowest = self.options.minimum
        return float(lowest + (1.0 - lowest) * (1.0 - done) ** self.options.power)
