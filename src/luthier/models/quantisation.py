"""Quantised bases: weights of 4 bits (nf4, https://arxiv.org/abs/2305.14314) or of 8, by `bitsandbytes`.

The linear layers inside a network's repeated layers are quantised, but for nf4 those whose inputs are no multiple of
64; embeddings, norms and heads are not. They are quantised from float32, whatever type computes: so a base is the same
one in training and in export. Activations never are: every product is that of the dequantised weight, the same while
training and afterwards, whatever else is in the batch. (By itself `bitsandbytes` rounds the activations of 8-bit layers
while evaluating, and on some processors computes 4-bit layers another way there, without gradients.)

Shapes: o = outputs of a linear layer, i = its inputs.
"""

from __future__ import annotations

import re
from copy import copy
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from luthier.errors import ModelError
from luthier.models.architectures import describe
from luthier.models.base import BaseModel

if TYPE_CHECKING:
    import torch
    from torch import nn

BLOCK = 64
"""Weights that share a scale in nf4."""

QUANTISED = ("Linear4bit", "Linear8bitLt")
"""Classes of layers that hold quantised weights."""


def quantising(kind: str, network: Any, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """What `from_pretrained` is told to quantise while it loads.

    Args:
        kind: int8 or nf4.
        network: the one that will be loaded, without weights.
        device: where the weights go: quantised ones cannot be moved by the library.
        dtype: what is computed in.

    Raises:
        ModelError: `bitsandbytes` is not installed.
    """
    if find_spec("bitsandbytes") is None:
        raise ModelError(f"model.quantise: {kind} needs bitsandbytes", hint="pip install 'luthier[quantise]'")
    import torch
    from transformers import BitsAndBytesConfig

    options: dict[str, Any] = {"load_in_8bit": True}
    if kind == "nf4":
        options = {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,  # the scales too
            "bnb_4bit_compute_dtype": dtype,
        }
    options["llm_int8_skip_modules"] = [f"^{re.escape(name)}$" for name in _left_plain(kind, network)]
    return {
        "dtype": torch.float32,
        "quantization_config": BitsAndBytesConfig(**options),
        "device_map": {"": str(device)},
    }


def _left_plain(kind: str, network: Any) -> list[str]:
    """Modules that are not quantised: those in none of the repeated layers, and for nf4 those of odd widths.

    The 4-bit kernel for processors reads wrong scales where blocks of 64 weights reach over the end of a row.
    """
    layers = tuple(f"{name}." for name in describe(network, network.config).layers)
    widths = {name: inputs for name, module in network.named_modules() if (inputs := _inputs(module))}
    odd = [name for name, inputs in widths.items() if kind == "nf4" and inputs % BLOCK]
    return [*(name for name in widths if not name.startswith(layers)), *odd]


def _inputs(module: Any) -> int:
    """Values that a linear layer takes; 0 for other modules."""
    if type(module).__name__ == "Conv1D":  # GPT-2 keeps its weights transposed
        return int(module.weight.shape[0])
    return int(getattr(module, "in_features", 0))


def settle(network: Any, dtype: torch.dtype) -> None:
    """Finishes what was loaded by `quantising`: the rest of the network computes in `dtype`, products are plain.

    Raises:
        ModelError: nothing was quantised.
    """
    import torch

    if not is_quantised(network):
        raise ModelError(
            "model.quantise: there is nothing to quantise in this network",
            expected=f"linear layers inside repeated ones, for nf4 with a multiple of {BLOCK} inputs",
        )
    float32 = (
        tuple(network._keep_in_fp32_modules or ()) if dtype == torch.float16 else ()
    )  # the library's own exception
    for name, parameter in network.named_parameters():
        if parameter.is_floating_point() and not set(float32) & set(name.split(".")):
            parameter.data = parameter.data.to(dtype)
    network.config.dtype = dtype
    for module in network.modules():
        if type(module).__name__ in QUANTISED:
            module.forward = partial(_multiply, module)
            if hasattr(module.weight, "quant_state"):
                module.weight.quant_state.dtype = dtype  # what the backward pass dequantises to


def is_quantised(network: nn.Module) -> bool:
    """Whether a network, perhaps with adapters, holds quantised weights."""
    return any(type(module).__name__ in QUANTISED for module in network.modules())


def dequantised(base: BaseModel) -> BaseModel:
    """The base with the same values in plain layers of its `dtype`, into which adapters can be merged.

    The network is changed in place. A base that is not quantised comes back as it is.
    """
    network: Any = base.network
    if not is_quantised(network):
        return base
    for name, module in list(network.named_modules()):
        if type(module).__name__ in QUANTISED:
            network.set_submodule(name, _plain(module, base.dtype))
    network.hf_quantizer.remove_quantization_config(network)
    network.is_loaded_in_4bit = network.is_loaded_in_8bit = False
    return replace(base, network=network, quantise="none")


def weight_of(module: Any, dtype: torch.dtype) -> torch.Tensor:
    """The values that a quantised layer computes with, [o, i]."""
    from bitsandbytes.functional import dequantize_4bit

    weight = module.weight
    if hasattr(weight, "quant_state"):
        state = copy(weight.quant_state)
        state.dtype = dtype
        values_oi: torch.Tensor = dequantize_4bit(weight.data, state)
        return values_oi
    return dequantise_int8(weight.data, weight.SCB, dtype)


def dequantise_int8(codes_oi: torch.Tensor, largest_o: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Codes from -127 to 127 and the largest absolute value of each row, as values."""
    return codes_oi.to(dtype).mul_(largest_o[:, None] / 127)


def _multiply(module: Any, x: torch.Tensor) -> torch.Tensor:
    """The forward of a quantised layer: x [..., i] -> [..., o], in the type of x."""
    import bitsandbytes

    from luthier.models._int8 import Int8Product

    weight = module.weight
    if hasattr(weight, "quant_state"):
        y: torch.Tensor = bitsandbytes.matmul_4bit(x, weight, quant_state=weight.quant_state)
    else:
        y = Int8Product.apply(x, weight.data, weight.SCB)  # type: ignore[no-untyped-call]
    return y if module.bias is None else y + module.bias.to(y.dtype)


def _plain(module: Any, dtype: torch.dtype) -> nn.Module:
    import torch
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    weight_oi = weight_of(module, torch.float32).to(dtype)
    with torch.device("meta"):
        if module.source_cls is Conv1D:  # GPT-2 keeps its weights transposed
            plain: Any = Conv1D(module.out_features, module.in_features)
            weight_oi = weight_oi.T.contiguous()
        else:
            plain = nn.Linear(module.in_features, module.out_features, bias=module.bias is not None)
    plain.weight, plain.bias = nn.Parameter(weight_oi, requires_grad=False), module.bias
    made: nn.Module = plain
    return made
