"""The last layer, computed where the loss reads it."""

import pytest
import torch
from torch import nn

from luthier.training.fast.last import Last

FAMILIES = ("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "gpt_neox", "gpt2", "opt", "phi")
FAMILIES += ("smollm3", "bert", "roberta", "modernbert")

MOST = {
    "llama": {"self_attn.q_proj", "self_attn.o_proj", "mlp", "post_attention_layernorm"},
    "qwen3": {"self_attn.q_proj", "self_attn.o_proj", "mlp", "post_attention_layernorm"},
    "gpt_neox": {"attention.dense", "mlp", "post_attention_layernorm"},
    "bert": {"attention.self.query", "attention.output.dense", "attention.output.LayerNorm", "intermediate"}
    | {"output.dense", "output.LayerNorm"},
}
"""Modules that need no more tokens than are read; queries and keys come from one product in GPT-NeoX."""


def names(engine):
    layer = engine.parts.layers[-1]
    by_module = {module: name for name, module in layer.named_modules()}
    return {by_module[module] for module in engine.last.modules}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_parts_that_few_tokens_need(tiny, engine_of, assert_exact, awkward, family):
    engine = engine_of(tiny(family))
    assert engine.last is not None
    found = names(engine)
    assert not any(name.endswith(("k_proj", "v_proj", "key", "value", "input_layernorm")) for name in found)
    assert MOST.get(family, found) == found
    assert_exact(engine, awkward)


def test_only_what_is_read_goes_through_them(tiny, engine_of, awkward):
    network = tiny("llama")
    engine = engine_of(network)
    seen = []
    mlp = network.get_base_model().model.layers[-1].mlp
    handle = mlp.gate_proj.register_forward_hook(lambda module, args, output: seen.append(args[0].shape[1]))
    with engine.running():
        flats = engine.batches(awkward)
        for flat in flats:
            engine.loss(flat)
    handle.remove()
    assert seen == [len(engine.read(flat).unique()) for flat in flats]
    assert sum(seen) < sum(flat.computed for flat in flats)


def test_what_nearly_all_tokens_are_read_of_is_left_whole():
    last = Last([])
    last.focus(torch.arange(80), 100)
    assert last._read_n is None
    last.focus(torch.tensor([3, 3, 1]), 100)
    assert last._read_n.tolist() == [1, 3]


class Layer(nn.Module):
    """One module looks at neighbours, one is called twice, one is read by other tokens, one by nobody else."""

    def __init__(self):
        super().__init__()
        self.key, self.twice, self.neighbours, self.own = (nn.Linear(4, 4) for _ in range(4))
        self.neighbours = Neighbours()

    def forward(self, hidden_states):
        read = self.key(hidden_states).cumsum(1)
        return (self.own(read) + self.neighbours(read) + self.twice(self.twice(read)),)


class Neighbours(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x):
        return self.inner(x.roll(1, 1))


def test_it_is_the_layer_that_says_which_modules_these_are():
    layer, x_1td = Layer(), torch.randn(1, 6, 4)
    last = Last.of(layer, lambda: layer(x_1td), torch.tensor([2, 5]))
    assert last.modules == [layer.neighbours.inner, layer.own] or last.modules == [layer.own, layer.neighbours.inner]
    assert Last.of(layer.key, lambda: layer.key(x_1td), torch.tensor([2, 5])) is None


def test_a_layer_is_itself_again():
    layer, x_1td = Layer(), torch.randn(1, 6, 4)
    last, expected = Last([layer.own]), layer(x_1td)[0]
    with last.installed():
        last.focus(torch.tensor([2]), 6)
        narrowed = layer(x_1td)[0]
    assert torch.allclose(narrowed[:, 2], expected[:, 2])
    assert not torch.allclose(narrowed[:, 1], expected[:, 1])
    assert torch.equal(layer(x_1td)[0], expected)
    assert "forward" not in vars(layer.own)
