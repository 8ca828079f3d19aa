"""AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, 2019, arXiv:1711.05101)."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from luthier.training.optimizers import AdamOptions, Groups, torch_adamw

if TYPE_CHECKING:
    import torch


class AdamwOptions(AdamOptions):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"] = Field("adamw", description="The optimiser's name.")


class Adamw:
    """Builds `torch.optim.AdamW`."""

    Options = AdamwOptions
    state_bytes = 8.0

    def __init__(self, options: AdamwOptions) -> None:
        self.options = options

    def build(self, groups: Groups, inside: Set[int]) -> torch.optim.Optimizer:
        """See `luthier.training.optimizers.Optimizer`."""
        return torch_adamw(groups, self.options)
