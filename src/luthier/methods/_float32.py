"""Trained weights are float32, also inside a network that computes in bfloat16."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


def trained_in_float32(network: nn.Module, compute: torch.dtype) -> None:
    """Turns every trained weight into float32.

    `peft` casts the inputs of its own adapter weights. Other modules with a trained weight, such as a classification
    head or a layer whose bias is trained, compute in float32 as a whole: their inputs are cast up, their outputs back.

    Args:
        network: the network with its trained parameters marked.
        compute: the type that the rest of the network computes in.
    """
    import torch

    if compute == torch.float32:
        return
    concerned = [  # all of them before the first is cast: tied modules share a weight
        module
        for module in network.modules()
        if any(weight.requires_grad and weight.dtype == compute for weight in module.parameters(recurse=False))
    ]
    handles = []
    for module in concerned:
        module.float()
        handles.append(module.register_forward_pre_hook(partial(_cast_inputs, compute)))
        handles.append(module.register_forward_hook(partial(_cast_output, compute)))
    network._float32_handles = handles  # type: ignore[assignment]


def entirely_float32(network: nn.Module) -> None:
    """Turns the whole network into float32 and takes the casts out again."""
    for handle in getattr(network, "_float32_handles", []):
        handle.remove()
    network.float()


def _cast_inputs(compute: torch.dtype, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.float() if getattr(value, "dtype", None) == compute else value for value in inputs)


def _cast_output(
    compute: torch.dtype, module: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor
) -> torch.Tensor:
    return output.to(compute)
