"""Tuning methods, one file each. A method owns how it is applied, stepped, saved and merged.

Nothing else in Luthier names a method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from luthier.registry import Options

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.data.records import Batch
    from luthier.models.base import BaseModel


class Method(Protocol):
    """What a tuning method does. Every file of this package has one class of this shape, built from its options.

    Attributes:
        dtype: number type that the whole network computes in, whatever `model.dtype` says; None = as that says.
        unmergeable: why the tuning cannot go into the network's own weights; empty where it can.
    """

    Options: ClassVar[type[Options]]
    dtype: ClassVar[Literal["float32"] | None]
    unmergeable: ClassVar[str]

    def __init__(self, options: Any) -> None: ...

    def apply(self, base: BaseModel, *, peft_task: str, total_steps: int) -> nn.Module:
        """Makes the network trainable: trained parameters require gradients and are float32, all others are frozen.

        Args:
            base: the base, in `dtype`; its network may be changed in place.
            peft_task: `peft.TaskType` name, such as CAUSAL_LM or SEQ_CLS.
            total_steps: optimiser steps of the whole run, for methods with a schedule of their own.

        Raises:
            ModelError: the method does not fit this network, such as targets that match nothing.
        """
        ...

    def parameter_groups(self, network: nn.Module, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Groups for a torch optimiser, each {params, lr, weight_decay}, covering every trained parameter once."""
        ...

    def usual_learning_rates(self, parameters: int) -> tuple[float, float, str]:
        """(low, high, who says so) of the peak learning rates people use with this method.

        Args:
            parameters: size of the whole network.
        """
        ...

    def penalty(self, network: nn.Module) -> torch.Tensor | None:
        """A term to add to the mean loss of an optimiser step (AdaLoRA's orthogonality), or None."""
        ...

    def on_step(self, network: nn.Module, step: int) -> None:
        """Called once an optimiser step, from 1, after the optimiser and before gradients are cleared."""
        ...

    def state(self, network: nn.Module) -> dict[str, torch.Tensor]:
        """Everything that training changes, by name: what a checkpoint keeps."""
        ...

    def restore(self, network: nn.Module, state: dict[str, torch.Tensor]) -> None:
        """Puts a state back, bit for bit."""
        ...

    def save(self, network: nn.Module, folder: Path, base: BaseModel) -> None:
        """Writes the artefact: for adapters what plain `peft` loads on the folder named in its configuration."""
        ...

    def open(self, base: BaseModel, folder: Path) -> nn.Module:
        """The base with a saved artefact, in eval mode, nothing trainable."""
        ...

    def merge(self, network: nn.Module) -> nn.Module:
        """The plain network with the tuning inside its own weights.

        Raises:
            ModelError: the method is `unmergeable`, or this network is.
        """
        ...


@runtime_checkable
class LooksAtRows(Protocol):
    """A method that begins from what the network makes of training rows (EVA)."""

    def rows_wanted(self) -> int:
        """Learned tokens (rows, of a classifier) that each batch has to have at least; 0 = it looks at none."""
        ...

    def initialise(self, network: nn.Module, batches: Sequence[Batch], forward: Callable[[Batch], object]) -> None:
        """Called once behind `apply`; nothing but what is trained may change.

        Args:
            network: what `apply` returned.
            batches: of the first rows that are trained on, always the same ones.
            forward: sends a batch through the network, as the task does.

        Raises:
            ModelError: the rows are too few.
        """
        ...


@runtime_checkable
class Reports(Protocol):
    """A method that finds something out while it trains, such as ranks."""

    def report(self, network: nn.Module) -> dict[str, Any]:
        """What was found, as plain values for run.json; texts also stand in the report."""
        ...


def count_parameters(network: nn.Module) -> tuple[int, int]:
    """How many numbers are trained and how many there are, tied weights counted once."""
    sizes = [(_numbers(parameter), parameter.requires_grad) for parameter in network.parameters()]
    return sum(size for size, trained in sizes if trained), sum(size for size, _ in sizes)


def frozen_bytes(network: nn.Module) -> int:
    """Memory of the frozen weights, with the scales of quantised ones; tied weights counted once."""
    frozen = [parameter for parameter in network.parameters() if not parameter.requires_grad]
    held = [tensor for parameter in frozen for tensor in (parameter, *_scales(parameter))]
    return sum(tensor.numel() * tensor.element_size() for tensor in held)


def _numbers(parameter: Any) -> int:
    """4-bit weights are packed, two in a byte."""
    state = getattr(parameter, "quant_state", None)
    return int(parameter.numel() if state is None else state.shape.numel())


def _scales(parameter: Any) -> list[torch.Tensor]:
    state = getattr(parameter, "quant_state", None)
    found = (
        [getattr(parameter, "SCB", None)] if state is None else [state.absmax, getattr(state.state2, "absmax", None)]
    )
    return [tensor for tensor in found if tensor is not None]
