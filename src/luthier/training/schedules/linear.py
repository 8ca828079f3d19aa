"""Warm-up, then a straight line down to zero."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from luthier.training.schedules import WarmupOptions, warmed_up


class LinearOptions(WarmupOptions):
    """Warm-up, then a straight line down to zero."""

    name: Literal["linear"] = Field("linear", description="The schedule's name.")


class Linear:
    """The same as transformers' `get_linear_schedule_with_warmup`."""

    Options = LinearOptions

    def __init__(self, options: LinearOptions) -> None:
        self.options = options

    def factor(self, step: int, total: int) -> float:
        """See `luthier.training.schedules.Schedule`."""
        rising, done = warmed_up(step, total, self.options.warmup)
        return 1.0 - done if rising is None else rising
