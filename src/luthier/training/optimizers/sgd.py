"""Stochastic gradient descent with momentum (Sutskever et al., 2013, ICML)."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from luthier.registry import Options
from luthier.training.optimizers import Groups

if TYPE_CHECKING:
    import torch


class SgdOptions(Options):
    """Gradient descent with momentum: little state; wants a far higher rate than AdamW, found by trying."""

    name: Literal["sgd"] = Field("sgd", description="The optimiser's name.")
    weight_decay: float = Field(0.0, ge=0, description="Share of a weight that is added to its gradient.")
    momentum: float = Field(0.9, ge=0, lt=1, description="How much of the last step is in the next one; 0 = no state.")
    nesterov: bool = Field(False, description="Look at the gradient ahead (Nesterov's momentum).")


class Sgd:
    """Builds `torch.optim.SGD`."""

    Options = SgdOptions

    def __init__(self, options: SgdOptions) -> None:
        self.options = options

    @property
    def state_bytes(self) -> float:
        """One number in float32, where there is momentum."""
        return 4.0 if self.options.momentum else 0.0

    def build(self, groups: Groups, inside: Set[int]) -> torch.optim.Optimizer:
        """See `luthier.training.optimizers.Optimizer`."""
        from torch.optim import SGD

        options = self.options
        return SGD(groups, momentum=options.momentum, nesterov=options.nesterov, weight_decay=options.weight_decay)
