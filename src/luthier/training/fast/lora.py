"""LoRA as one operation: the base products, the small products and the scaling, and one gradient for their input.

    y = x W' + b + scale (x A') B'

`peft` computes this with an addition and a multiplication of the whole output, and casts its input to float32. Here
the small products are added into the large one, and in the backward pass into the gradient of the input; only x and
x A' are kept. Layers that read the same input, such as queries, keys and values, are one operation together: their A
are one matrix, and the gradient of their input is summed up in one place. Under bfloat16 the products are bfloat16 and
the adapter's gradients float32.

Shapes: t = tokens, i = inputs of a layer, o = its outputs, r = its rank, s = ranks of layers together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import nn

Forward = Callable[[torch.Tensor], torch.Tensor]


def is_plain(module: Any) -> bool:
    """Whether a module is `peft` LoRA on a linear layer with nothing more: no DoRA, no dropout, one adapter."""
    from peft.tuners.lora.layer import Linear

    if type(module) is not Linear or len(module.active_adapters) != 1 or module.merged or module.disable_adapters:
        return False
    name, base = module.active_adapters[0], module.base_layer
    return (
        name in module.lora_A
        and name not in module.lora_variant
        and type(base) is nn.Linear
        and isinstance(module.lora_dropout[name], nn.Identity)
        and module.lora_A[name].bias is None
        and module.lora_B[name].bias is None
        and not base.weight.requires_grad
        and not base._forward_hooks  # a layer that computes in float32 inside a bfloat16 network casts by hooks
    )


class Layer(NamedTuple):
    """What a plain LoRA layer computes with: W [o, i], b [o] or None, A [r, i], B [o, r], and the scale."""

    weight_oi: torch.Tensor
    bias_o: torch.Tensor | None
    down_ri: torch.Tensor
    up_or: torch.Tensor
    scale: float

    @property
    def rank(self) -> int:
        """Rows of A."""
        return len(self.down_ri)


class LoraLinear:
    """The forward of a plain LoRA layer, to be put in place of `peft`'s."""

    def __init__(self, module: Any) -> None:
        name, base = module.active_adapters[0], module.base_layer
        down_ri, up_or = module.lora_A[name].weight, module.lora_B[name].weight
        self.layer = Layer(base.weight, base.bias, down_ri, up_or, module.scaling[name])

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x [..., i] -> [..., o]."""
        return _together(x, [self.layer])[0]


class Siblings:
    """Plain LoRA layers that read the same input, one after the other: the first that is called computes for all."""

    def __init__(self, members: Sequence[LoraLinear]) -> None:
        self.members = list(members)
        self._x: torch.Tensor | None = None
        self._waiting: dict[LoraLinear, torch.Tensor] = {}

    def forward_of(self, member: LoraLinear) -> Forward:
        """The forward of one of them."""

        def forward(x: torch.Tensor) -> torch.Tensor:
            if x is not self._x or member not in self._waiting:
                if self._waiting:  # somebody was given another input: from now on each computes for itself
                    self.members = []
                members = self.members or [member]
                self._x = x
                self._waiting = dict(zip(members, _together(x, [each.layer for each in members]), strict=True))
            y = self._waiting.pop(member)
            if not self._waiting:
                self._x = None
            return y

        return forward


def siblings(
    forwards: Sequence[tuple[nn.Module, Any]], run: Callable[[Sequence[tuple[nn.Module, Any]]], object]
) -> list[tuple[nn.Module, Any]]:
    """The same forwards, those of LoRA layers that read the same input together.

    Args:
        forwards: (module, its forward).
        run: runs the model once with the forwards that it is given.
    """
    met: list[tuple[torch.Tensor, LoraLinear]] = []

    def noting(layer: LoraLinear) -> Forward:
        def forward(x: torch.Tensor) -> torch.Tensor:
            met.append((x, layer))
            return layer(x)

        return forward

    run([(module, noting(one) if isinstance(one, LoraLinear) else one) for module, one in forwards])
    grouped: dict[LoraLinear, Forward] = {}
    for _, calls in groupby(met, key=lambda call: id(call[0])):
        members = [layer for _, layer in calls]
        if len(members) > 1 and len({*members, *grouped}) == len(members) + len(grouped):
            group = Siblings(members)
            grouped |= {layer: group.forward_of(layer) for layer in members}
    return [(module, grouped.get(one, one)) for module, one in forwards]


def lora_forward(x: torch.Tensor, layers: Sequence[Layer]) -> tuple[list[torch.Tensor], torch.Tensor]:
    """(the layers' outputs, each [..., o], and x A' [t, s] for the backward pass)."""
    x_ti = x.flatten(0, -2)
    small_ts = x_ti @ _downs(layers).to(x.dtype).T
    outputs = []
    for layer, small_tr in zip(layers, _parts(small_ts, layers), strict=True):
        y_to = nn.functional.linear(x_ti, layer.weight_oi, layer.bias_o)
        y_to.addmm_(small_tr, layer.up_or.to(x.dtype).T, alpha=layer.scale)
        outputs.append(y_to.view(*x.shape[:-1], -1))
    return outputs, small_ts


class Wanted(NamedTuple):
    """Which gradients of a layer are needed."""

    bias: bool
    down: bool
    up: bool


def lora_backward(
    grads: Sequence[torch.Tensor],
    x: torch.Tensor,
    small_ts: torch.Tensor,
    layers: Sequence[Layer],
    wanted: Sequence[Wanted],
    *,
    input_wanted: bool,
) -> tuple[torch.Tensor | None, list[tuple[torch.Tensor | None, ...]]]:
    """The gradient of x, and of every layer those of the weight (frozen: None), the bias, A and B.

    Args:
        grads: of the outputs.
        x, small_ts: what went in, and x A'.
        layers: in the order of the outputs.
        wanted: likewise.
        input_wanted: whether that of x is needed.
    """
    x_ti, grads_to = x.flatten(0, -2), [grad.flatten(0, -2) for grad in grads]
    small_grad_ts = torch.empty_like(small_ts)
    for grad_to, layer, part_tr in zip(grads_to, layers, _parts(small_grad_ts, layers), strict=True):
        torch.mm(grad_to, layer.up_or.to(grad_to.dtype), out=part_tr).mul_(layer.scale)
    downs: Sequence[torch.Tensor | None] = [None] * len(layers)
    if any(need.down for need in wanted):
        downs = torch.split((small_grad_ts.T @ x_ti).float(), [layer.rank for layer in layers])
    found: list[tuple[torch.Tensor | None, ...]] = []
    for grad_to, layer, small_tr, down, need in zip(
        grads_to, layers, _parts(small_ts, layers), downs, wanted, strict=True
    ):
        bias = grad_to.sum(0) if need.bias else None
        # 1.7 times as fast as grad' small
        up = (small_tr.T @ grad_to).T.float().mul_(layer.scale) if need.up else None
        found.append((None, bias, down if need.down else None, up))
    if not input_wanted:
        return None, found
    grad_x_ti = grads_to[0] @ layers[0].weight_oi
    for grad_to, layer in zip(grads_to[1:], layers[1:], strict=True):
        grad_x_ti.addmm_(grad_to, layer.weight_oi)
    return grad_x_ti.addmm_(small_grad_ts, _downs(layers).to(x.dtype)).view(x.shape), found


def _downs(layers: Sequence[Layer]) -> torch.Tensor:
    """The A of all layers, [s, i]."""
    return layers[0].down_ri if len(layers) == 1 else torch.cat([layer.down_ri for layer in layers])


def _parts(values_ts: torch.Tensor, layers: Sequence[Layer]) -> Sequence[torch.Tensor]:
    """Each layer's columns, [t, r]."""
    return torch.split(values_ts, [layer.rank for layer in layers], 1)


def _together(x: torch.Tensor, layers: Sequence[Layer]) -> Sequence[torch.Tensor]:
    tensors = [tensor for *tensors, _ in layers for tensor in tensors]
    scales = [layer.scale for layer in layers]
    outputs: Sequence[torch.Tensor] = _LoraFunction.apply(x, scales, *tensors)  # type: ignore[no-untyped-call]
    return outputs


def _layers(tensors: Sequence[Any], scales: Sequence[float]) -> list[Layer]:
    fours = zip(tensors[::4], tensors[1::4], tensors[2::4], tensors[3::4], strict=True)
    return [Layer(*four, scale) for four, scale in zip(fours, scales, strict=True)]


class _LoraFunction(torch.autograd.Function):
    """x, the scales, and W, b, A and B of every layer -> the outputs."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, scales: Sequence[float], *tensors: torch.Tensor | None
    ) -> tuple[torch.Tensor, ...]:
        outputs, small_ts = lora_forward(x, _layers(tensors, scales))
        ctx.save_for_backward(x, small_ts, *tensors)
        ctx.scales = scales
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, small_ts, *tensors = ctx.saved_tensors
        input_wanted, _, *needs = ctx.needs_input_grad
        wanted = [Wanted(*needs[start + 1 : start + 4]) for start in range(0, len(needs), 4)]
        layers = _layers(tensors, ctx.scales)
        grad_x, found = lora_backward(grads, x, small_ts, layers, wanted, input_wanted=input_wanted)
        return grad_x, None, *(grad for of_layer in found for grad in of_layer)
