"""What lies below the first trained layer: remembered, and the same."""

import pytest
import torch

from luthier.training.fast.below import Below

UPPER = {"target_modules": r".*layers\.1\..*_proj"}


def test_the_lower_layers_are_skipped_and_nothing_changes(tiny, engine_of, assert_exact, awkward):
    network = tiny("llama", **UPPER)
    engine = engine_of(network)
    assert engine.below is not None
    before = assert_exact(engine, awkward)
    engine.begin(awkward, tokens=200, passes=3)
    calls = []
    handle = network.get_base_model().model.layers[0].self_attn.register_forward_hook(lambda *_: calls.append(1))
    after = assert_exact(engine, awkward)
    assert abs(after.loss - before.loss) < 1e-6 * before.loss
    with engine.running():
        for batch in engine.batches(awkward):
            assert engine.below.knows(batch)
            engine.loss(batch)
    handle.remove()
    plain = len(awkward)  # assert_exact also runs the plain model, which knows nothing of this
    assert len(calls) <= 2 * plain, "the engine itself never ran the first layer"


@pytest.mark.parametrize(
    ("tokens", "passes"), [(200, 1.0), (10**15, 3.0)], ids=["seen once", "more than there is memory for"]
)
def test_only_where_it_pays_and_there_is_room(tiny, engine_of, awkward, tokens, passes):
    engine = engine_of(tiny("llama", **UPPER))
    engine.begin(awkward, tokens=tokens, passes=passes)
    assert not any(engine.below.knows(batch) for batch in engine.batches(awkward))


def test_a_row_that_was_not_remembered_is_computed(tiny, engine_of, assert_exact, awkward):
    engine = engine_of(tiny("llama", **UPPER))
    engine.begin(awkward[:3], tokens=200, passes=3)
    assert_exact(engine, awkward)


def test_nothing_is_remembered_where_something_below_is_trained_or_drawn(tiny, engine_of):
    assert engine_of(tiny("llama")).below is None
    assert engine_of(tiny("llama", configuration={"attention_dropout": 0.1}, **UPPER)).below is None
    network = tiny("llama", **UPPER)
    network.get_base_model().model.embed_tokens.weight.requires_grad_(True)
    layers = network.get_base_model().model.layers
    assert Below.of(network.get_base_model().model, layers) is None


def test_the_layers_are_themselves_again(tiny, engine_of, awkward):
    network = tiny("llama", **UPPER)
    engine = engine_of(network)
    engine.begin(awkward, tokens=200, passes=3)
    layers = network.get_base_model().model.layers
    assert all("forward" not in vars(layer) and not layer._forward_pre_hooks for layer in layers)
    with torch.no_grad():
        first = layers[0](torch.ones(1, 2, 32), position_embeddings=(torch.ones(1, 2, 8), torch.zeros(1, 2, 8)))
    assert not torch.equal(first, torch.ones(1, 2, 32))
