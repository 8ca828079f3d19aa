"""Materials before a weight is loaded, and a session with its method applied."""

import pytest
import torch

from luthier.errors import ModelError

pytestmark = pytest.mark.integration


def test_materials_load_no_weight(bench, monkeypatch):
    monkeypatch.setattr("luthier.training.session.load_base", lambda *_, **__: pytest.fail("weights were loaded"))
    said = []
    from luthier.config import load_config
    from luthier.training.session import Materials

    file = bench.write(bench.folder / "run.yaml", bench.models["llama"], bench.rows, data={"limit": 37})
    materials = Materials.gather(load_config(file), lambda phase, done, total: said.append(phase))
    assert len(materials.prepared.train) == 37
    assert materials.renderer.labels == ("up", "down", "flat")
    assert "tokenising" in said


def test_a_new_head_depends_on_the_training_seed_alone(bench):
    def head(seed):
        torch.rand(3)
        materials = bench.materials("bert", task="sequence_classification", training={"seed": seed})
        return materials.load_base().network.classifier.weight.detach().clone()

    assert torch.equal(head(1), head(1))
    assert not torch.equal(head(1), head(2))


def test_only_the_adapter_is_trained_and_in_float32(bench):
    trainer = bench.trainer(bench.materials(model={"dtype": "bfloat16"}))
    kinds = {(p.requires_grad, "lora_" in name, p.dtype) for name, p in trainer.network.named_parameters()}
    assert kinds == {(True, True, torch.float32), (False, False, torch.bfloat16)}


def test_steps_of_a_run(bench):
    rows = len(bench.materials().prepared.train)
    per_epoch = -(-rows // 8)
    for training, steps in (({"epochs": 1}, per_epoch), ({"epochs": 3}, 3 * per_epoch), ({"max_steps": 2}, 2)):
        assert bench.trainer(bench.materials(training=training)).session.total_steps == steps


def test_a_method_that_does_not_fit_is_refused(bench):
    with pytest.raises(ModelError, match="nowhere"):
        bench.trainer(bench.materials(method={"name": "lora", "targets": ["nowhere"]}))
