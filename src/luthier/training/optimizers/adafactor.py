"""Adafactor: of the squares of a matrix it keeps the means of rows and columns (Shazeer, Stern, arXiv:1804.04235)."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from luthier.registry import Options
from luthier.training.optimizers import Groups

if TYPE_CHECKING:
    import torch


class AdafactorOptions(Options):
    """Adam without the mean of gradients, its squares kept by rows and columns: next to no state."""

    name: Literal["adafactor"] = Field("adafactor", description="The optimiser's name.")
    weight_decay: float = Field(
        0.0, ge=0, description="Share of a weight taken off at every step, times the learning rate."
    )
    clip: float = Field(1.0, gt=0, description="Steps of a tensor are scaled down to this root mean square.")
    scale_parameter: bool = Field(
        False,
        description="Scale steps by the size of the weights, as the paper does; what begins at zero, as LoRA's B does, "
        "then hardly moves.",
    )


class Adafactor:
    """Builds the one of `transformers`, with the learning rate of the schedule instead of its own."""

    Options = AdafactorOptions
    state_bytes = 0.5  # a matrix of r rows and c columns has 4 / r + 4 / c; vectors have 4

    def __init__(self, options: AdafactorOptions) -> None:
        self.options = options

    def build(self, groups: Groups, inside: Set[int]) -> torch.optim.Optimizer:
        """See `luthier.training.optimizers.Optimizer`."""
        from transformers.optimization import Adafactor as Theirs

        options = self.options
        made: torch.optim.Optimizer = Theirs(
            groups,
            lr=0.0,  # each group has its own
            weight_decay=options.weight_decay,
            clip_threshold=options.clip,
            scale_parameter=options.scale_parameter,
            relative_step=False,
        )
        return made
