from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.errors import ModelError
from luthier.methods._bottleneck import inserted
from luthier.methods.bottleneck import Bottleneck, BottleneckOptions

IDS = torch.tensor([[5, 6, 7, 8]])


def method_of(**options: Any) -> Bottleneck:
    return Bottleneck(BottleneckOptions(**options))


def test_two_in_a_layer_or_one(open_base: Any, tiny_llama: Path) -> None:
    for kind, count in (("houlsby", 4), ("pfeiffer", 2)):
        network = method_of(kind=kind).apply(open_base(tiny_llama), peft_task="CAUSAL_LM", total_steps=1)
        assert len(inserted(network)) == count
    network = method_of(kind="pfeiffer", layers="1").apply(open_base(tiny_llama), peft_task="CAUSAL_LM", total_steps=1)
    assert list(inserted(network)) == ["model.layers.1.mlp.down_proj"]


def test_the_width_is_a_share_or_a_number(open_base: Any, tiny_llama: Path) -> None:
    for options, width in (({"reduction": 4}, 8), ({"width": 5}, 5), ({"reduction": 1000}, 1)):
        network = method_of(**options).apply(open_base(tiny_llama), peft_task="CAUSAL_LM", total_steps=1)
        assert {adapter.down.out_features for adapter in inserted(network).values()} == {width}


def test_it_starts_near_the_identity_and_leaves_the_bases_names_alone(open_base: Any, tiny_llama: Path) -> None:
    base = open_base(tiny_llama)
    names, before = set(base.network.state_dict()), base.network(IDS).logits
    network = method_of(reduction=2).apply(base, peft_task="CAUSAL_LM", total_steps=1)
    change = (network(IDS).logits - before).norm() / before.norm()
    assert 0 < change < 1e-2
    assert names < set(network.state_dict())


def test_the_maths(open_base: Any, tiny_llama: Path) -> None:
    network: Any = method_of(width=3, activation="tanh").apply(
        open_base(tiny_llama), peft_task="CAUSAL_LM", total_steps=1
    )
    layer = network.model.layers[0].mlp.down_proj
    inputs, adapter = torch.randn(2, 48), layer.bottleneck
    plain = inputs @ layer.weight.T
    inner = torch.tanh(plain @ adapter.down.weight.T + adapter.down.bias)
    torch.testing.assert_close(layer(inputs), plain + inner @ adapter.up.weight.T + adapter.up.bias)


def test_a_narrow_network_opens_as_trained(open_base: Any, tiny_bert: Path, tmp_path: Path) -> None:
    def fresh() -> Any:
        return open_base(tiny_bert, "sequence_classification", dtype="bfloat16", labels=("a", "b"))

    method, base = method_of(reduction=4), fresh()
    network = method.apply(base, peft_task="SEQ_CLS", total_steps=1)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert {parameter.dtype for parameter in trained} == {torch.float32}
    with torch.no_grad():
        for parameter in trained:
            parameter.add_(0.1 * torch.randn_like(parameter))
    method.save(network, tmp_path / "adapter", base)
    opened = method.open(fresh(), tmp_path / "adapter")
    assert torch.equal(opened(IDS).logits, network(IDS).logits)


def test_adapters_of_another_base(open_base: Any, tiny_llama: Path, tiny_gpt2: Path, tmp_path: Path) -> None:
    method, base = method_of(), open_base(tiny_llama)
    method.save(method.apply(base, peft_task="CAUSAL_LM", total_steps=1), tmp_path / "adapter", base)
    with pytest.raises(ModelError, match="do not load on this base"):
        method.open(open_base(tiny_gpt2), tmp_path / "adapter")


def test_it_says_why_it_cannot_be_merged(open_base: Any, tiny_llama: Path) -> None:
    method = method_of()
    with pytest.raises(ModelError, match="non-linearity"):
        method.merge(method.apply(open_base(tiny_llama), peft_task="CAUSAL_LM", total_steps=1))
