"""Optimisers, one file each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from luthier.registry import Options

if TYPE_CHECKING:
    import torch


class Optimizer(Protocol):
    """What an optimiser plugin does. Every file of this package has one class of this shape, built from its options."""

    Options: ClassVar[type[Options]]

    def __init__(self, options: Any) -> None: ...

    def build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """A torch optimiser.

        Args:
            groups: what a method's `parameter_groups` returns, each {params, lr, weight_decay}; a group's own weight
                decay comes before the options'.
        """
        ...
