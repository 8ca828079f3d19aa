"""Parts of layers: replaced only where they compute the same, and then exactly the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from luthier.training.fast.pieces import faster_gate, faster_norm

WIDTH = 32


def parts(network: nn.Module, word: str) -> list[nn.Module]:
    return [module for name, module in network.named_modules() if name.endswith(word)]


def compare(module: nn.Module, forward: Callable[[Any], Any], *, shape: tuple[int, ...] = (1, 9, WIDTH)) -> None:
    """Output, and gradients of the input and of all that is trained, against the module in float64."""
    generator = torch.Generator().manual_seed(0)
    x, grad = (torch.randn(shape, generator=generator) for _ in range(2))
    wide = copy.deepcopy(module).double()
    results = []
    for owner, function, dtype in ((module, forward, torch.float32), (wide, wide, torch.float64)):
        owner.zero_grad()
        leaf = x.to(dtype, copy=True).requires_grad_()
        y = function(leaf)
        y.backward(grad.to(dtype))
        results.append([y.detach(), leaf.grad, *(p.grad for p in owner.parameters() if p.requires_grad)])
    for one, other in zip(*results, strict=True):
        assert one is not None
        assert other is not None
        assert float((one.double() - other.double()).norm()) <= 2e-6 * float(other.double().norm())


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma", "gemma3", "smollm3"])
def test_norms(family: str, families: Callable[..., Any]) -> None:
    found = parts(families(family), "input_layernorm")
    assert len(found) == 2
    for norm in found:
        faster = faster_norm(norm)
        assert faster is not None
        compare(norm, faster)


def test_norms_of_heads(families: Callable[..., Any]) -> None:
    norm = parts(families("qwen3"), "q_norm")[0]
    faster = faster_norm(norm)
    assert faster is not None
    compare(norm, faster, shape=(1, 5, 4, 8))


def test_a_norm_in_bfloat16_is_as_exact_as_its_own(families: Callable[..., Any]) -> None:
    norm = parts(families("llama"), "input_layernorm")[0].bfloat16()
    faster = faster_norm(norm)
    assert faster is not None
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, WIDTH, generator=generator).bfloat16()
    wide = x.double()
    truth = norm.weight.double() * wide * (wide.square().mean(-1, keepdim=True) + norm.variance_epsilon).rsqrt()
    assert 0 < float((faster(x) - truth).norm()) <= 1.2 * float((norm(x) - truth).norm())


def test_what_is_no_such_norm_stays(families: Callable[..., Any]) -> None:
    norm = parts(families("llama"), "input_layernorm")[0]
    assert faster_norm(nn.LayerNorm(WIDTH)) is None
    assert faster_norm(parts(families("llama"), "mlp")[0]) is None
    norm.weight.requires_grad_()
    assert faster_norm(norm) is None


def test_a_norm_of_that_name_that_computes_something_else_stays() -> None:
    class OddRMSNorm(nn.Module):
        def __init__(self, power: float) -> None:
            super().__init__()
            self.weight, self.eps, self.power = nn.Parameter(torch.rand(WIDTH), requires_grad=False), 1e-6, power

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.weight * x * (x.square().mean(-1, keepdim=True) + self.eps) ** -self.power

    assert faster_norm(OddRMSNorm(0.5)) is not None
    assert faster_norm(OddRMSNorm(0.51)) is None


@pytest.mark.parametrize("family", ["llama", "gemma", "gemma3", "qwen2"])
def test_gates(family: str, tiny: Callable[..., Any]) -> None:
    found = parts(tiny(family), "mlp")
    assert len(found) == 2
    for gate in found:
        faster = faster_gate(gate)
        assert faster is not None
        compare(gate, faster)


def test_a_gate_whose_last_bias_is_trained(tiny: Callable[..., Any]) -> None:
    gate = parts(tiny("llama", configuration={"mlp_bias": True}, bias="all"), "mlp")[0]
    faster = faster_gate(gate)
    assert faster is not None
    assert gate.down_proj.base_layer.bias.requires_grad
    compare(gate, faster)


def test_gates_that_stay(tiny: Callable[..., Any]) -> None:
    assert faster_gate(parts(tiny("llama", target_modules=["q_proj"]), "mlp")[0]) is None
    assert faster_gate(parts(tiny("llama", use_dora=True), "mlp")[0]) is None
    assert faster_gate(parts(tiny("opt"), "fc1")[0]) is None
    odd = parts(tiny("llama"), "mlp")[0]
    odd.forward = lambda x: type(odd).forward(odd, x) * 1.01
    assert faster_gate(odd) is None
