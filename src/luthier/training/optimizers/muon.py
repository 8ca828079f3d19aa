"""Muon: momentum whose steps are orthogonalised, for matrices (Jordan et al., 2024, kellerjordan.github.io/posts/muon).

It changes the matrices in the network's layers; all other weights (embeddings, heads, norms, biases, soft prompts) are
changed by AdamW, as its authors advise. Steps have the size of AdamW's (Liu et al., 2025, arXiv:2502.16982), so one
learning rate and one weight decay suit both.
"""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from luthier.errors import ModelError
from luthier.training.optimizers import AdamOptions, Groups, torch_adamw

if TYPE_CHECKING:
    import torch


class MuonOptions(AdamOptions):
    """Orthogonalised momentum for the matrices of the layers, AdamW for all other weights; meant for full tuning."""

    name: Literal["muon"] = Field("muon", description="The optimiser's name.")
    momentum: float = Field(0.95, ge=0, lt=1, description="How slowly the mean of a matrix's gradients moves.")


class Muon:
    """Builds `torch.optim.Muon` and, for what is not a matrix in a layer, `torch.optim.AdamW`."""

    Options = MuonOptions
    state_bytes = 4.0  # of weights outside of the layers 8

    def __init__(self, options: MuonOptions) -> None:
        self.options = options

    def build(self, groups: Groups, inside: Set[int]) -> torch.optim.Optimizer:
        """See `luthier.training.optimizers.Optimizer`."""
        from torch.optim import Muon as Theirs

        from luthier.training.optimizers._together import Together

        matrices, others = _split(groups, inside)
        if not matrices:
            raise ModelError(
                "there is nothing for muon: this method trains no matrix in the network's layers",
                hint="training.optimizer: adamw",
            )
        options = self.options
        first = Theirs(
            matrices,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )
        return Together([first, torch_adamw(others, options)] if others else [first])


def _split(groups: Groups, inside: Set[int]) -> tuple[Groups, Groups]:
    """The groups once with the matrices in the layers, once with all other weights."""
    parts: tuple[Groups, Groups] = [], []
    for group in groups:
        matrices = [weight for weight in group["params"] if weight.ndim == 2 and id(weight) in inside]
        chosen = {id(weight) for weight in matrices}
        others = [weight for weight in group["params"] if id(weight) not in chosen]
        for part, weights in zip(parts, (matrices, others), strict=True):
            if weights:
                part.append(group | {"params": weights})
    return parts
