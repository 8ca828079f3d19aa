"""AdamW with its state in 8 bits, in blocks of 256 (Dettmers et al., 2022, arXiv:2110.02861), by `bitsandbytes`."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from luthier.training.optimizers import AdamOptions, Groups

if TYPE_CHECKING:
    import torch


class Adamw8bitOptions(AdamOptions):
    """AdamW with its state in 8 bits: a quarter of the memory, less exact; needs bitsandbytes."""

    name: Literal["adamw_8bit"] = Field("adamw_8bit", description="The optimiser's name.")


class Adamw8bit:
    """Builds `bitsandbytes.optim.AdamW8bit`; tensors of fewer than 4096 weights keep their state in float32."""

    Options = Adamw8bitOptions
    state_bytes = 2 * (1 + 4 / 256)  # each of two states has a float32 scale for 256 weights

    def __init__(self, options: Adamw8bitOptions) -> None:
        self.options = options

    def build(self, groups: Groups, inside: Set[int]) -> torch.optim.Optimizer:
        """See `luthier.training.optimizers.Optimizer`."""
        from luthier.training.optimizers._bitsandbytes import build

        return build("AdamW8bit", groups, **self.options.in_torch)
