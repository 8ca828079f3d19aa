"""Parts of a layer in fewer passes over memory, which also keep less for the backward pass.

A part is replaced only after it was seen to compute what is expected of it: the module's own forward is compared with
the formula on random input, so nothing depends on the name of a model.

Shapes: t = tokens, d = hidden width, m = width of the gated product.
"""

from __future__ import annotations

from typing import Any

import torch

from luthier.training.fast.lora import Forward, Layer, LoraLinear, Wanted, is_plain, lora_backward, lora_forward

CLOSE = 1e-4
"""Largest difference, relative to the largest value, between a module and its formula in float32."""


def faster_norm(module: Any) -> Forward | None:
    """A forward in place of a root-mean-square norm's own; None when the module is no such norm, or is trained."""
    weight, epsilon = getattr(module, "weight", None), _epsilon(module)
    if epsilon is None or weight is None or weight.ndim != 1 or weight.requires_grad:
        return None
    for shift in (0.0, 1.0):  # Gemma's norms store their weight less one
        candidate = _Norm(weight, shift, epsilon)
        if _agrees(module, candidate, len(weight), weight):
            return candidate
    return None


def _epsilon(module: Any) -> float | None:
    if "RMSNorm" not in type(module).__name__:
        return None
    value = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    return float(value) if value is not None else None


class _Norm:
    """x / sqrt(mean(x^2) + epsilon) * (weight + shift), computed in float32."""

    def __init__(self, weight_d: torch.Tensor, shift: float, epsilon: float) -> None:
        self.weight_d = weight_d.detach().float() + shift
        self.epsilon = epsilon

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = _NormFunction.apply(x, self.weight_d, self.epsilon)  # type: ignore[no-untyped-call]
        return y


class _NormFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight_d: torch.Tensor, epsilon: float) -> torch.Tensor:
        wide = x.float()
        mean_square = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_().div_(x.shape[-1])
        inverse = mean_square.add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, inverse, weight_d)
        y: torch.Tensor = (wide * inverse).mul_(weight_d).to(x.dtype)
        return y

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, inverse, weight_d = ctx.saved_tensors
        wide = x.float()
        weighted = grad * weight_d
        along = (weighted * wide).sum(-1, keepdim=True).mul_(inverse.pow(3)).div_(x.shape[-1])
        return weighted.mul_(inverse).addcmul_(wide, along, value=-1).to(x.dtype), None, None


def faster_gate(module: Any) -> Forward | None:
    """A forward in place of a gated MLP's own, down(act(gate(x)) * up(x)), which computes act(gate) * up again in the
    backward pass instead of keeping it; None when the module is no such MLP, or its last layer has no plain LoRA."""
    names = ("gate_proj", "up_proj", "down_proj", "act_fn")
    if any(getattr(module, name, None) is None for name in names) or not is_plain(module.down_proj):
        return None
    candidate = _Gate(module.gate_proj, module.up_proj, module.down_proj, module.act_fn)
    weight = module.down_proj.base_layer.weight
    return candidate if _agrees(module, candidate, weight.shape[0], weight) else None


class _Gate:
    def __init__(self, gate: Any, up: Any, down: Any, activation: Any) -> None:
        self.gate, self.up, self.activation = gate, up, activation
        self.down = LoraLinear(down).layer

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = _GateFunction.apply(  # type: ignore[no-untyped-call]
            self.gate(x), self.up(x), self.activation, *self.down
        )
        return y


class _GateFunction(torch.autograd.Function):
    """act(gate) * up and the LoRA layer behind it; only gate and up are kept."""

    @staticmethod
    def forward(
        ctx: Any,
        gate_tm: torch.Tensor,
        up_tm: torch.Tensor,
        activation: Any,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        layer = Layer(weight, bias, down, up, scale)
        [y], small = lora_forward(activation(gate_tm).mul_(up_tm), [layer])
        ctx.save_for_backward(gate_tm, up_tm, small, weight, down, up)
        ctx.activation, ctx.scale = activation, scale
        return y

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gate_tm, up_tm, small, weight, down, up = ctx.saved_tensors
        with torch.enable_grad():
            gate_tm = gate_tm.detach().requires_grad_()
            activated_tm = ctx.activation(gate_tm)
        product_tm = activated_tm.detach() * up_tm
        layers, wanted = [Layer(weight, None, down, up, ctx.scale)], [Wanted(*ctx.needs_input_grad[4:7])]
        grad_product_tm, [found] = lora_backward([grad], product_tm, small, layers, wanted, input_wanted=True)
        del product_tm
        assert grad_product_tm is not None
        (grad_gate_tm,) = torch.autograd.grad(activated_tm, gate_tm, grad_product_tm * up_tm)
        grad_up_tm = grad_product_tm.mul_(activated_tm.detach())
        return grad_gate_tm, grad_up_tm, None, *found, None


def _agrees(module: Any, candidate: Forward, width: int, like: torch.Tensor) -> bool:
    """Whether a module computes on random input what its replacement does."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, width, generator=generator).to(like)
    try:
        with torch.no_grad():
            expected, found = module(x).float(), candidate(x).float()
    except (RuntimeError, TypeError):
        return False
    allowed = CLOSE if like.dtype == torch.float32 else 100 * CLOSE
    return expected.shape == found.shape and bool((expected - found).abs().max() <= allowed * expected.abs().max())
