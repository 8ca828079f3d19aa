"""Lion: steps of one size, by the sign of a mean of gradients (Chen et al., 2023, arXiv:2302.06675)."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from luthier.registry import Options
from luthier.training.optimizers import Groups

if TYPE_CHECKING:
    import torch


class LionOptions(Options):
    """Steps by the sign of a mean of gradients; wants a third to a tenth of AdamW's rate; needs bitsandbytes."""

    name: Literal["lion"] = Field("lion", description="The optimiser's name.")
    weight_decay: float = Field(
        0.0, ge=0, description="Share of a weight taken off at every step, times the learning rate."
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="How much the mean counts beside the newest gradient.")
    beta2: float = Field(0.99, ge=0, lt=1, description="How slowly the mean moves.")


class Lion:
    """Builds `bitsandbytes.optim.Lion`, its state in float32."""

    Options = LionOptions
    state_bytes = 4.0

    def __init__(self, options: LionOptions) -> None:
        self.options = options

    def build(self, groups: Groups, inside: Set[int]) -> torch.optim.Optimizer:
        """See `luthier.training.optimizers.Optimizer`."""
        from luthier.training.optimizers._bitsandbytes import build

        options = self.options
        return build("Lion", groups, betas=(options.beta1, options.beta2), weight_decay=options.weight_decay)
