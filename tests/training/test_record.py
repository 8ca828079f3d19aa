"""What run.json and adapter/luthier.json say of a run."""

import hashlib

import pytest
import torch
from transformers import AutoModelForCausalLM

from luthier.methods import count_parameters
from luthier.training.record import describe, passport

pytestmark = pytest.mark.integration


def test_the_record_of_a_run(bench):
    trainer = bench.trainer(bench.materials(training={"max_steps": 5}))
    record = describe(trainer.session)
    assert record["steps"] == 5
    assert (record["trainable"], record["parameters"]) == count_parameters(trainer.network)
    assert 0 < record["trainable"] < record["parameters"]
    assert (record["device"], record["dtype"], record["engine"]) == ("cpu", "float32", "fast")
    assert record["dtype_reason"]
    assert record["engine_reason"]
    assert {"python", "luthier", "torch", "transformers", "peft"} <= record["versions"].keys()
    assert record["processor"]["cores"] > 0


def test_full_tuning_begins_with_the_weights_as_they_are(bench, tiny_llama):
    session = bench.trainer(bench.materials(method={"name": "full"}, model={"dtype": "bfloat16"})).session
    saved = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32).state_dict()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in session.network.state_dict().items())
    record = describe(session)
    assert (record["dtype"], record["dtype_reason"]) == ("float32", "the method computes in it")
    assert session.choice.engine.dtype == torch.float32, "its trial allows rounding of this type"


def test_how_often_rows_are_seen_is_on_record(bench):
    parts = {"data": {"balance": {"how": "oversample", "temperature": 2}}, "training": {"epochs": 3}}
    session = bench.trainer(bench.materials(**parts)).session
    seen = {each["name"]: each for each in describe(session)["mix"]}
    assert sum(each["rows"] for each in seen.values()) == len(session.materials.prepared.train)
    assert seen.keys() == {"up", "down", "flat"}
    for each in seen.values():
        assert each["epochs"] == pytest.approx(3 * each["repeats"], rel=0.1)
    assert describe(bench.trainer(bench.materials()).session)["mix"] == []


def test_the_passport_names_what_the_adapter_needs(bench, tiny_llama):
    materials = bench.materials()
    found = passport(materials)
    assert found["base"]["folder"] == found["base"]["source"] == str(tiny_llama)
    assert found["template_digest"] == hashlib.sha256(materials.tokenizer.chat_template.encode()).hexdigest()[:32]
    assert found["data"]["labels"] == ["up", "down", "flat"]
    assert sum(found["data"]["rows"].values()) == materials.prepared.summary.rows.get("train", 0) + sum(
        len(getattr(materials.prepared, name)) for name in ("validation", "test")
    )
    assert found["data"]["tokens"]["train"] == sum(len(row.ids) for row in materials.prepared.train)


def test_the_passport_changes_with_what_it_stands_for(bench, tiny_bert):
    found = passport(bench.materials())
    other_template = passport(bench.materials(data={"template": "plain"}))
    assert other_template["template_digest"] != found["template_digest"]
    assert other_template["base"] == found["base"]
    other_data = passport(bench.materials(data={"limit": 20}))
    assert other_data["data"]["digest"] != found["data"]["digest"]
    other_base = passport(bench.materials("bert", task="sequence_classification"))
    assert other_base["base"]["digest"] != found["base"]["digest"]
