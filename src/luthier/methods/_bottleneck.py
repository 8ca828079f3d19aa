"""The bottleneck adapter itself, and how it is put behind a module.

Shapes: d = width of the network, w = width of the bottleneck; any number of leading dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}

NAME = "bottleneck"
"""Of the adapter inside the module whose output it changes."""

SPREAD = 1e-2
"""Standard deviation of new weights, as in Houlsby et al.: near zero, so that the adapter starts near the identity."""


class BottleneckAdapter(nn.Module):
    """h + up(activation(down(h))), computed in float32 whatever the type of h.

    Args:
        width: d.
        bottleneck: w.
        activation: a key of ACTIVATIONS.
        dropout: share of the adapter's inputs set to zero while training.
    """

    def __init__(self, width: int, bottleneck: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.down = nn.Linear(width, bottleneck)
        self.activation = ACTIVATIONS[activation]()
        self.up = nn.Linear(bottleneck, width)
        for linear in (self.down, self.up):
            nn.init.trunc_normal_(linear.weight, std=SPREAD, a=-2 * SPREAD, b=2 * SPREAD)
            nn.init.zeros_(linear.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """[..., d] to [..., d]."""
        update: torch.Tensor = self.up(self.activation(self.down(self.dropout(hidden.float()))))
        return hidden + update.to(hidden.dtype)


def insert(
    network: nn.Module, paths: Sequence[str], *, bottleneck: int, activation: str, dropout: float = 0.0
) -> list[BottleneckAdapter]:
    """Puts an adapter behind every one of these modules; no other name in the network changes."""
    adapters = []
    for path in paths:
        module: Any = network.get_submodule(path)
        weight = module.weight
        width = module.nf if hasattr(module, "nf") else module.out_features
        adapter = BottleneckAdapter(width, bottleneck, activation, dropout).to(weight.device)
        module.add_module(NAME, adapter)
        module.register_forward_hook(_adapted)
        adapters.append(adapter)
    return adapters


def inserted(network: nn.Module) -> dict[str, BottleneckAdapter]:
    """The adapters of a network by the path of the module that each is behind."""
    return {
        path.removesuffix(f".{NAME}"): module
        for path, module in network.named_modules()
        if isinstance(module, BottleneckAdapter)
    }


def _adapted(module: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
    adapted: torch.Tensor = module.bottleneck(output)
    return adapted
