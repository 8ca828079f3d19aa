from dataclasses import replace

import pytest

from luthier.training.memory import KEPT, Layers, pieces


@pytest.mark.parametrize("targets", ["all-linear", "attention"])
def test_the_loaded_network_and_the_one_without_weights_have_the_same_layers(targets, bench):
    materials = bench.materials(method={"name": "lora", "rank": 4, "targets": targets})
    session = bench.trainer(materials).session
    assert Layers.of(session.base, session.network) == bench.sizes(materials).layers


def test_narrower_values_and_fewer_layers_keep_less():
    layers = Layers(count=4, hidden=32, outputs=1000, trained_inputs=100, value_bytes=4)
    kept = [layers.kept_bytes(level, fast=True) for level in ("fast", "balanced", "low")]
    assert kept == [KEPT["fast"] * 4000, KEPT["balanced"] * 4000, (4 * 32 + 500) * 4]
    narrow = replace(layers, value_bytes=2)
    assert narrow.kept_bytes("balanced", fast=True) == kept[1] / 2
    assert narrow.kept_bytes("fast", fast=False) == kept[0] / 2 + 400, "inputs of trained layers in float32 besides"
    assert replace(layers, outputs=500).kept_bytes("fast", fast=False) == kept[0] / 2


def test_a_cpu_allocator_holds_more_besides():
    assert pieces("cuda", fast=True) < pieces("cpu", fast=True) < pieces("cpu", fast=False)
