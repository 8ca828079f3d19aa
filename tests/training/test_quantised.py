"""Runs on quantised bases, from training to the merged model."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from luthier import pipeline
from luthier.errors import ModelError
from luthier.evaluation.speaker import open_speaker
from luthier.methods import frozen_bytes
from luthier.runs import read_events
from luthier.runs.files import read_json

pytest.importorskip("bitsandbytes", reason="quantised bases need bitsandbytes: pip install luthier[quantise]")
pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_cache")]

QUICK = {"evaluation": {"every": None, "samples": 0, "few_shot": 0, "baselines": False}, "training": {"max_steps": 6}}


@pytest.fixture(scope="module", params=["nf4", "int8"])
def run(request, tmp_path_factory, own_cache, write_config, wide_llama, labelled_file):
    folder = tmp_path_factory.mktemp(request.param)
    model = {"quantise": request.param, "dtype": "bfloat16"}
    return pipeline.train(write_config(folder / "run.yaml", wide_llama, labelled_file, model=model, **QUICK))


def test_it_is_trained_by_the_fast_engine_and_on_record(run):
    record, kind = run.record, run.config.model.quantise
    assert record["state"] == "finished"
    assert (record["engine"], record["dtype"]) == ("fast", "bfloat16")
    assert "14 of 14 LoRA layers run as in peft" in record["engine_reason"]
    assert record["base"]["quantise"] == kind
    assert read_json(run.adapter / "luthier.json")["base"]["quantise"] == kind
    losses = [event["loss"] for event in read_events(run.events.path, "step")]
    assert len(losses) == 6
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_merged_model_answers_like_the_adapter_on_the_quantised_base(run, dtype, tmp_path):
    made = pipeline.export(run, "merged", tmp_path / "merged", dtype=dtype)
    assert made.parity.distance <= made.parity.allowed
    if dtype == "float32":
        assert made.parity.allowed == 1e-4
        merged = AutoModelForCausalLM.from_pretrained(made.folder)
        assert not hasattr(merged.config, "quantization_config")
        speaker = open_speaker(run, dtype="float32")
        ids = torch.tensor([list(speaker.rows(["amber rose"])[0].ids)])
        with torch.inference_mode():
            apart = (speaker.network(ids).logits - merged.eval()(ids).logits).abs().max()
        assert apart < 1e-4


def test_the_merged_model_has_the_weights_of_the_quantised_base(run, wide_llama, tmp_path):
    """Merging into the base that was not quantised would be another model, and the gate would see it."""
    speaker = open_speaker(run, dtype="float32")
    plain = open_speaker(run, dtype="float32", plain=True)
    assert plain.base.quantise == "none"
    original = AutoModelForCausalLM.from_pretrained(wide_llama).model.layers[0].mlp.up_proj.weight
    held = plain.base.network.model.layers[0].mlp.up_proj.base_layer.weight
    assert speaker.base.quantise == run.config.model.quantise
    assert (held - original).abs().max() > 1e-4


def test_both_engines_compute_the_same(bench, wide_llama):
    found = {}
    bench.models["wide"] = wide_llama
    for engine in ("reference", "fast"):
        training = {"max_steps": 1, "engine": engine}
        trainer = bench.trainer(bench.materials("wide", model={"quantise": "nf4"}, training=training), engine)
        found[engine] = trainer.gradient(1)[:2]
    assert found["fast"] == pytest.approx(found["reference"], rel=1e-4)


def test_the_plan_shows_what_the_base_takes(bench, wide_llama):
    bench.models["wide"] = wide_llama
    quick = {"evaluation": QUICK["evaluation"], "training": {"max_steps": 2}, "data": {"limit": 12}}
    held = {
        kind: pipeline.plan(bench.materials("wide", model={"quantise": kind}, **quick).config).frozen_mb
        for kind in ("none", "nf4")
    }
    assert 0 < held["nf4"] < held["none"]


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_the_forecast_for_other_devices_knows_what_the_base_takes(bench, wide_llama, kind):
    bench.models["wide"] = wide_llama
    materials = bench.materials("wide", model={"quantise": kind})
    expected = frozen_bytes(bench.trainer(materials).network)
    found = bench.sizes(materials)
    assert found.frozen_bytes == pytest.approx(expected, rel=0.03)


def test_full_tuning_is_refused(bench, wide_llama):
    bench.models["wide"] = wide_llama
    with pytest.raises(ModelError, match="full tuning"):
        bench.trainer(bench.materials("wide", model={"quantise": "nf4"}, method={"name": "full"}))
