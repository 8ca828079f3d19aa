"""The product with a weight of 8 bits, which is dequantised for the moment it is needed, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import linear

from luthier.models.quantisation import dequantise_int8


class Int8Product(torch.autograd.Function):
    """x [..., i], codes [o, i] and the largest value of each row [o] -> [..., o]; only codes are kept."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, codes_oi: torch.Tensor, largest_o: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(codes_oi, largest_o)
        return linear(x, dequantise_int8(codes_oi, largest_o, x.dtype))

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        codes_oi, largest_o = ctx.saved_tensors
        return grad @ dequantise_int8(codes_oi, largest_o, grad.dtype), None, None
