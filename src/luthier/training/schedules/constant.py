"""Warm-up, then the peak to the end."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from luthier.training.schedules import WarmupOptions, warmed_up


class ConstantOptions(WarmupOptions):
    """Warm-up, then the peak to the end."""

    name: Literal["constant"] = Field("constant", description="The schedule's name.")


class Constant:
    """The same as transformers' `get_constant_schedule_with_warmup`."""

    Options = ConstantOptions

    def __init__(self, options: ConstantOptions) -> None:
        self.options = options

    def factor(self, step: int, total: int) -> float:
        """See `luthier.training.schedules.Schedule`."""
        rising, _ = warmed_up(step, total, self.options.warmup)
        return 1.0 if rising is None else rising
