"""AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, 2019, arXiv:1711.05101)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from luthier.registry import Options

if TYPE_CHECKING:
    import torch


class AdamwOptions(Options):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"] = Field("adamw", description="The optimiser's name.")
    weight_decay: float = Field(
        0.0, ge=0, description="Share of a weight taken off at every step, times the learning rate."
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="How slowly the mean of the gradients moves.")
    beta2: float = Field(0.999, ge=0, lt=1, description="How slowly the mean of their squares moves.")
    epsilon: float = Field(1e-8, gt=0, description="Added to the root of that mean, so that nothing divides by zero.")


class Adamw:
    """Builds `torch.optim.AdamW`."""

    Options = AdamwOptions

    def __init__(self, options: AdamwOptions) -> None:
        self.options = options

    def build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """See `luthier.training.optimizers.Optimizer`."""
        from torch.optim import AdamW

        options = self.options
        return AdamW(
            groups,
            betas=(options.beta1, options.beta2),
            eps=options.epsilon,
            weight_decay=options.weight_decay,
        )
