"""The output layer in chunks against one cross-entropy.

Shapes: n = positions, d = hidden width, v = vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from luthier.training.fast import output
from luthier.training.fast.output import OutputLayer

N, WIDTH, VOCABULARY = 23, 16, 50


def output_layer(head: nn.Module, **config: Any) -> OutputLayer:
    settings = SimpleNamespace(**config)
    settings.get_text_config = lambda: settings
    return OutputLayer(SimpleNamespace(config=settings, get_output_embeddings=lambda: head))


def head(*, bias: bool = False, dtype: torch.dtype = torch.float32) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(WIDTH, VOCABULARY, bias=bias).to(dtype).requires_grad_(False)


def data(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden = (3 * torch.randn(N, WIDTH, generator=generator)).to(dtype)
    return hidden, torch.randint(0, VOCABULARY, (N,), generator=generator)


def with_gradient(loss: Callable[[torch.Tensor], torch.Tensor], hidden: torch.Tensor) -> tuple[float, torch.Tensor]:
    hidden = hidden.detach().requires_grad_()
    found = loss(hidden) * 0.7  # as when it is divided by the tokens of a step
    found.backward()
    assert hidden.grad is not None
    return float(found.detach()), hidden.grad.double()


def expected(
    hidden: torch.Tensor, targets: torch.Tensor, layer: nn.Linear, **config: Any
) -> tuple[float, torch.Tensor]:
    weight, bias = layer.weight.double(), layer.bias.double() if layer.bias is not None else None

    def loss(hidden: torch.Tensor) -> torch.Tensor:
        logits = nn.functional.linear(hidden, weight, bias)
        logits = logits * config.get("logit_scale", 1.0) / config.get("logits_scaling", 1.0)
        cap = config.get("final_logit_softcapping")
        return cross_entropy(torch.tanh(logits / cap) * cap if cap else logits, targets, reduction="sum")

    return with_gradient(loss, hidden.double())


@pytest.mark.parametrize("chunk", [1, 4 * VOCABULARY, 8_000_000], ids=["a row", "four rows", "all"])
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"final_logit_softcapping": 2.0},
        {"logit_scale": 0.3},
        {"logits_scaling": 4.0},
        {"final_logit_softcapping": 2.0, "logit_scale": 1.7},
        {"final_logit_softcapping": None, "logit_scale": None, "logits_scaling": None},
    ],
    ids=["plain", "softcap", "scaled", "divided", "both", "none of them"],
)
def test_chunks_are_one_cross_entropy(config: Any, bias: bool, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "CHUNK_NUMBERS", chunk)
    layer, (hidden, targets) = head(bias=bias), data()
    loss, gradient = with_gradient(lambda x: output_layer(layer, **config).loss(x, targets), hidden)
    clean = {name: value for name, value in config.items() if value is not None}
    true_loss, true_gradient = expected(hidden, targets, layer, **clean)
    assert loss == pytest.approx(true_loss, rel=1e-6)
    assert float((gradient - true_gradient).norm() / true_gradient.norm()) < 1e-6


def test_full_logits_are_never_held(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    usual = output.linear

    def watched(*arguments: Any) -> torch.Tensor:
        logits = usual(*arguments)
        sizes.append(logits.numel())
        return logits

    monkeypatch.setattr(output, "linear", watched)
    monkeypatch.setattr(output, "CHUNK_NUMBERS", 5 * VOCABULARY)
    hidden, targets = data()
    hidden.requires_grad_()
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        output_layer(head()).loss(hidden, targets)
    assert sizes == [5 * VOCABULARY] * 4 + [3 * VOCABULARY]
    assert kept == [N * WIDTH]


def test_nothing_to_learn_is_a_loss_of_zero() -> None:
    hidden, targets = data()
    loss, gradient = with_gradient(lambda x: output_layer(head()).loss(x[:0], targets[:0]), hidden)
    assert loss == 0.0
    assert not gradient.any()


def test_bfloat16_is_as_exact_as_the_plain_path() -> None:
    layer, (hidden, targets) = head(dtype=torch.bfloat16), data(torch.bfloat16)
    true_loss, true_gradient = expected(hidden, targets, layer)
    loss, gradient = with_gradient(lambda x: output_layer(layer).loss(x, targets), hidden)
    usual_loss, usual = with_gradient(lambda x: cross_entropy(layer(x).float(), targets, reduction="sum"), hidden)
    assert abs(loss - true_loss) <= 1.2 * abs(usual_loss - true_loss)
    assert 0 < float((gradient - true_gradient).norm()) <= 1.2 * float((usual - true_gradient).norm())


def test_a_trained_head_gets_its_own_gradient() -> None:
    hidden, targets = data()
    layer = head(bias=True).requires_grad_()
    loss, gradient = with_gradient(lambda x: output_layer(layer).loss(x, targets), hidden)
    found = {name: weight.grad for name, weight in layer.named_parameters()}
    layer.zero_grad(set_to_none=True)
    true = with_gradient(lambda x: cross_entropy(layer(x), targets, reduction="sum"), hidden)
    assert loss == pytest.approx(true[0])
    torch.testing.assert_close(gradient, true[1])
    for name, weight in layer.named_parameters():
        torch.testing.assert_close(found[name], weight.grad)


def test_all_logits_at_once() -> None:
    hidden, targets = data()
    layer = output_layer(head(), final_logit_softcapping=2.0, logit_scale=0.3)
    loss = cross_entropy(layer.logits(hidden), targets, reduction="sum")
    assert float(loss) == pytest.approx(float(layer.loss(hidden, targets)))


def test_a_trained_layer_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "CHUNK_NUMBERS", 7 * VOCABULARY)
    layer, (hidden, targets) = head().requires_grad_(), data()
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        found = with_gradient(lambda hidden: output_layer(layer).loss(hidden, targets), hidden)
    assert max(kept) <= layer.weight.numel(), "no logits"
    assert layer.weight.grad is not None
    gradient, layer.weight.grad = layer.weight.grad, None
    reference = with_gradient(lambda hidden: cross_entropy(layer(hidden), targets, reduction="sum"), hidden)
    assert found[0] == pytest.approx(reference[0], rel=1e-6)
    assert (found[1] - reference[1]).norm() < 1e-6 * reference[1].norm()
    assert (gradient - layer.weight.grad).norm() < 1e-6 * layer.weight.grad.norm()
