"""Optimisers, one file each."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from luthier.registry import Options

if TYPE_CHECKING:
    import torch

Groups = list[dict[str, Any]]
"""Trained weights with their settings, each {params, lr, weight_decay}, as torch's optimisers take them."""


class Optimizer(Protocol):
    """What an optimiser plugin does. Every file of this package has one class of this shape, built from its options.

    Its state is saved in every checkpoint by torch's `state_dict`: tensors and plain numbers.
    """

    Options: ClassVar[type[Options]]

    def __init__(self, options: Any) -> None: ...

    @property
    def state_bytes(self) -> float:
        """Bytes of state for each trained weight, about: for the estimates of `luthier.training.memory`."""
        ...

    def build(self, groups: Groups, inside: Set[int]) -> torch.optim.Optimizer:
        """A torch optimiser.

        Args:
            groups: what a method's `parameter_groups` returns, with learning rates of their own; a group's own weight
                decay comes before the options'.
            inside: `id` of every parameter in the network's repeated layers: not embeddings, heads, soft prompts.

        Raises:
            ConfigError: its library is not installed.
            ModelError: it cannot train these weights, or not on this device.
        """
        ...


class AdamOptions(Options):
    """Options of AdamW and of what uses it."""

    weight_decay: float = Field(
        0.0, ge=0, description="Share of a weight taken off at every step, times the learning rate."
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="How slowly the mean of the gradients moves.")
    beta2: float = Field(0.999, ge=0, lt=1, description="How slowly the mean of their squares moves.")
    epsilon: float = Field(1e-8, gt=0, description="Added to the root of that mean, so that nothing divides by zero.")

    @property
    def in_torch(self) -> dict[str, Any]:
        """The same as torch's AdamW names them."""
        return {"betas": (self.beta1, self.beta2), "eps": self.epsilon, "weight_decay": self.weight_decay}


def torch_adamw(groups: Groups, options: AdamOptions) -> torch.optim.Optimizer:
    """torch's AdamW. On a processor its kernel for whole matrices takes a fifth of the time of its loop over operations
    (420 matrices of a LoRA of rank 16: 12 ms instead of 60); elsewhere torch chooses.
    """
    from torch.optim import AdamW

    on_cpu = all(weight.device.type == "cpu" for group in groups for weight in group["params"])
    return AdamW(groups, fused=on_cpu or None, **options.in_torch)
