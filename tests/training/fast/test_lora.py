"""LoRA as one operation against `peft`'s own layer.

Shapes: t = tokens, i = inputs, o = outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from luthier.methods._float32 import trained_in_float32
from luthier.training.fast.lora import LoraLinear, is_plain, siblings


def layer(inputs: int = 12, outputs: int = 20, *, base_bias: bool = True, dtype: Any = torch.float32, **options: Any):
    """A network of one linear layer with LoRA, all its weights random; and that layer."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(inputs, outputs, bias=base_bias)).to(dtype)
    tuned = get_peft_model(network, LoraConfig(**({"r": 4, "target_modules": ["0"]} | options)))
    for name, parameter in tuned.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter, 0.0, 0.3)
    trained_in_float32(tuned, dtype)
    return tuned, tuned.base_model.model[0]


def with_gradients(network: nn.Module, forward: Callable[[Any], Any], x: torch.Tensor, grad: Any) -> dict[str, Any]:
    network.zero_grad()
    x = x.detach().requires_grad_()
    y = forward(x)
    y.backward(grad.to(y.dtype))
    trained = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    return {"y": y.detach(), "x": x.grad, **trained}


def data(inputs: int, outputs: int, tokens: int = 7, dtype: Any = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, tokens, inputs, generator=generator).to(dtype)
    return x, torch.randn(1, tokens, outputs, generator=generator)


@given(
    st.integers(1, 256),
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["none", "lora_only"]),
)
@settings(max_examples=40, deadline=None)
def test_it_is_pefts_layer(rank: int, inputs: int, outputs: int, tokens: int, bias: bool, rs: bool, trained: str):
    network, module = layer(inputs, outputs, base_bias=bias, r=rank, lora_alpha=2 * rank, use_rslora=rs, bias=trained)
    assert is_plain(module)
    x, grad = data(inputs, outputs, tokens)
    found = with_gradients(network, LoraLinear(module), x, grad)
    wide = copy.deepcopy(network).double()
    expected = with_gradients(wide, wide.base_model.model[0], x.double(), grad.double())
    assert found.keys() == expected.keys()
    assert ("base_model.model.0.base_layer.bias" in found) == (bias and trained == "lora_only")
    for name, value in expected.items():
        torch.testing.assert_close(found[name].double(), value, atol=1e-5 * float(value.norm()), rtol=1e-5)


def test_an_input_that_needs_no_gradient_gets_none() -> None:
    network, module = layer()
    x, grad = data(12, 20)
    LoraLinear(module)(x).backward(grad)
    assert x.grad is None
    expected = with_gradients(copy.deepcopy(network), network.base_model.model[0], x, grad)
    assert expected["x"] is not None
    assert all(bool(p.grad.any()) for p in network.parameters() if p.requires_grad)


def test_bfloat16_is_as_exact_as_pefts_and_gradients_are_float32() -> None:
    network, module = layer(64, 48, dtype=torch.bfloat16, r=16, lora_alpha=32)
    nn.init.normal_(module.lora_B["default"].weight, 0.0, 0.002)  # an adapter is small beside its base
    x, grad = data(64, 48, 200, torch.bfloat16)
    grad = grad.bfloat16()
    wide = copy.deepcopy(network).double()
    truth = with_gradients(wide, wide.base_model.model[0], x.double(), grad.double())
    found = with_gradients(network, LoraLinear(module), x, grad)
    usual = with_gradients(network, module, x, grad)
    assert {name: value.dtype for name, value in found.items()} == {
        name: torch.float32 if "lora" in name else torch.bfloat16 for name in truth
    }
    for name in ("y", "x"):
        ours, theirs = (float((r[name].double() - truth[name]).norm() / truth[name].norm()) for r in (found, usual))
        assert 0 < ours <= 1.2 * theirs, name
    for name in truth.keys() - {
        "x",
        "y",
    }:  # peft computes these in float32; this operation in what the base computes in
        assert float((found[name].double() - truth[name]).norm() / truth[name].norm()) < 2**-8, name


def test_only_the_input_and_the_small_product_are_kept() -> None:
    _, module = layer(256, 256, r=2)
    x, _ = data(256, 256, 100)
    x.requires_grad_()
    weights = {weight.data_ptr() for weight in module.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        LoraLinear(module)(x)
    assert sorted(kept.values()) == [100 * 2, 100 * 256]


@pytest.mark.parametrize(
    "options",
    [{"use_dora": True}, {"lora_dropout": 0.1}, {"lora_bias": True}],
    ids=["DoRA", "dropout", "bias of B"],
)
def test_variants_are_not_plain(options: dict[str, Any]) -> None:
    assert not is_plain(layer(**options)[1])


def test_other_states_are_not_plain() -> None:
    from peft import LoraConfig

    network, module = layer()
    assert is_plain(module)
    assert not is_plain(module.base_layer)
    network.base_model.disable_adapter_layers()
    assert not is_plain(module)
    network.base_model.enable_adapter_layers()
    assert is_plain(module)
    network.merge_adapter()
    assert not is_plain(module)
    network.unmerge_adapter()
    network.add_adapter("other", LoraConfig(r=2, target_modules=["0"]))
    network.base_model.set_adapter(["default", "other"])
    assert not is_plain(module)


def test_a_trained_base_is_not_plain() -> None:
    _, module = layer()
    module.base_layer.weight.requires_grad_()
    assert not is_plain(module)


def test_a_layer_that_casts_by_hooks_is_not_plain() -> None:
    assert not is_plain(layer(dtype=torch.bfloat16, bias="lora_only")[1])


def test_other_layers_are_not_plain(tiny: Callable[..., Any]) -> None:
    adapted = [module for module in tiny("gpt2").modules() if hasattr(module, "lora_A")]
    table = tiny("llama", target_modules=["embed_tokens"])
    adapted += [module for module in table.modules() if hasattr(module, "lora_embedding_A")]
    assert len(adapted) > 1
    assert not any(map(is_plain, adapted))


class Attention(nn.Module):
    """Three layers that read one input, and one that reads theirs."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(12, width, bias=width % 2 == 0) for width in widths)
        self.o = nn.Linear(sum(widths), 12)

    def forward(self, x: Any) -> Any:
        return self.o(torch.cat([self.q(x), self.k(x), self.v(x)], -1))


def family(**options: Any) -> tuple[nn.Module, list[tuple[nn.Module, Any]]]:
    """A network of siblings with LoRA, and each plain layer with its forward."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    targets = {"r": 4, "target_modules": ["q", "k", "v", "o"], "rank_pattern": {"k": 7}}
    tuned = get_peft_model(Attention((20, 9, 6)), LoraConfig(**(targets | options)))
    for name, parameter in tuned.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter, 0.0, 0.3)
    return tuned, [(module, LoraLinear(module)) for module in tuned.modules() if is_plain(module)]


def grouped(network: nn.Module, plain: list[tuple[nn.Module, Any]], x: torch.Tensor) -> Callable[[Any], Any]:
    """The network with siblings in place."""

    def run(forwards: Any) -> None:
        for module, forward in forwards:
            module.forward = forward
        network(x)

    for module, forward in siblings(plain, run):
        module.forward = forward
    return network


@pytest.mark.parametrize("trained", ["none", "lora_only"])
@pytest.mark.parametrize("frozen", [(), ("k.lora_A",), ("q.lora_A", "k.lora_A", "v.lora_A", "q.lora_B")])
def test_layers_that_read_one_input_are_one_operation(trained: str, frozen: tuple[str, ...]) -> None:
    network, plain = family(bias=trained)
    for name, parameter in network.named_parameters():
        if any(part in name for part in frozen):
            parameter.requires_grad_(False)
    x, grad = data(12, 12)
    expected = with_gradients(network, network, x, grad)
    found = with_gradients(network, grouped(network, plain, x), x, grad)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-5 * float(value.norm()), rtol=1e-5)
    groups = [forward for _, forward in siblings(plain, lambda forwards: None) if not isinstance(forward, LoraLinear)]
    assert not groups  # who is never called has no siblings


def test_layers_of_one_input_are_computed_by_the_first_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from luthier.training.fast import lora

    network, plain = family()
    x, _ = data(12, 12)
    tuned = grouped(network, plain, x)
    together, sizes = lora._together, []
    monkeypatch.setattr(lora, "_together", lambda x, layers: sizes.append(len(layers)) or together(x, layers))
    for _ in range(2):
        tuned(x + 1)
    assert sizes == [3, 1, 3, 1]


def test_siblings_that_are_given_different_inputs_part() -> None:
    network, plain = family()
    x, _ = data(12, 12)
    grouped(network, plain, x)
    attention = network.base_model.model
    expected = {name: LoraLinear(getattr(attention, name))(x + place) for place, name in enumerate("qkv")}
    for _ in range(2):
        for place, name in enumerate("qkv"):
            torch.testing.assert_close(getattr(attention, name)(x + place), expected[name])
