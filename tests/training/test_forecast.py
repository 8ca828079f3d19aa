"""Forecasts, checked against real networks: the tiny models, and what autograd really keeps."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from luthier.errors import ConfigError, ModelError
from luthier.methods import count_parameters
from luthier.training.devices import find_device
from luthier.training.fast.output import CHUNK_NUMBERS
from luthier.training.forecast import FRAMEWORK_MB, Case, make_forecast
from luthier.training.memory import ROOM
from luthier.training.sizes import tuned_without_weights
from luthier.training.work import count_work

BERT = {"base": "bert", "task": "sequence_classification"}
LORA = {"name": "lora", "rank": 8}


@pytest.mark.parametrize(
    "parts",
    [{}, BERT, {"method": {**LORA, "targets": "attention", "dora": True}}, {"method": {"name": "full"}}],
    ids=["llama", "bert", "dora", "full"],
)
def test_sizes_are_those_of_the_network(bench, parts):
    materials = bench.materials(**parts)
    sizes = bench.sizes(materials)
    network = bench.trainer(materials).network
    assert (sizes.trainable, sizes.parameters) == count_parameters(network)
    assert sizes.frozen_bytes == 4 * (sizes.parameters - sizes.trainable)
    assert (sizes.layers.count, sizes.layers.hidden) == (2, 32)
    linear = 2 * (4 * 32 * 32 + 2 * 32 * 48) if parts.get("base") else 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 48)
    products = sizes.trained_products if parts.get("method", {}).get("name") == "full" else sizes.frozen_products
    assert products == linear
    assert sizes.vocabulary == (0 if parts.get("base") else 300)
    outputs = 2 * (32 * 4 + 48 + 32) if parts.get("base") else 2 * (2 * 32 + 2 * 16 + 2 * 48 + 32)
    assert sizes.layers.outputs == outputs
    assert sizes.causal is not bool(parts.get("base"))


def test_an_encoder_decoder_has_the_layers_of_both(bench):
    materials = bench.materials("t5", task="seq2seq")
    sizes = bench.sizes(materials)
    assert (sizes.trainable, sizes.parameters) == count_parameters(bench.trainer(materials).network)
    assert (sizes.layers.count, sizes.layers.hidden, sizes.vocabulary, sizes.causal) == (4, 32, 300, False)
    forecast = make_forecast(materials, find_device("cpu-2"))
    assert forecast.engine == "reference"
    assert any("encoder and decoder" in assumption for assumption in forecast.assumptions)


def test_full_tuning_is_in_float32(bench):
    materials = bench.materials(method={"name": "full"}, model={"dtype": "bfloat16"})
    found = make_forecast(materials, find_device("t4"))
    assert (found.dtype, found.dtype_reason) == ("float32", "the method computes in it")
    assert found.memory_mb["frozen weights"] == 0


def kept_for_backward(network, run):
    """Bytes that autograd keeps during a forward pass, parameters left out."""
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_activations_are_what_autograd_keeps(bench, dtype):
    """On a model with the proportions of a real one: in the tiny one the attention's mask would count."""
    materials = bench.materials(model={"dtype": dtype}, training={"engine": "reference", "memory": "fast"})
    trainer = bench.trainer(materials)
    micro = trainer.session.choice.engine.batches([materials.prepared.train[row] for row in range(8)])[0]
    trainer.network.train()
    really = kept_for_backward(trainer.network, lambda: trainer.session.choice.engine.loss(micro))
    sizes = bench.sizes(materials, dtype)
    case = Case(sizes, find_device("cpu-2-bf16"), fast=False, level="fast", trained_bytes=16.0)
    logits = micro.batch.count * sizes.vocabulary * 12
    expected = case.memory_mb(micro.computed, 0)["activations"] * 1e6 + logits
    assert expected == pytest.approx(really, rel=0.35)


def test_levels_keep_less_and_less(bench):
    sizes = bench.sizes(bench.materials())
    cases = [Case(sizes, find_device("cpu-2"), True, level, 16.0) for level in ("fast", "balanced", "low")]
    kept = [case.memory_mb(1000, 10)["activations"] for case in cases]
    assert kept == sorted(kept, reverse=True)
    assert len(set(kept)) == 3
    parts = cases[0].memory_mb(1000, 10)
    everything = sum(value for name, value in parts.items() if name != "all")
    assert parts["all"] == pytest.approx(everything, abs=0.2)
    assert parts["framework"] == FRAMEWORK_MB


def test_the_fast_engine_holds_few_logits(bench):
    sizes = replace(bench.sizes(bench.materials()), vocabulary=262_144)
    fast, plain = (
        Case(sizes, find_device("l4"), engine, "fast", 16.0).memory_mb(4096, 4096) for engine in (True, False)
    )
    assert fast["logits"] == pytest.approx(CHUNK_NUMBERS * 20 / 1e6)
    assert plain["logits"] == pytest.approx(4096 * 262_144 * 20 / 1e6, abs=0.1)


def test_work_is_what_the_engines_compute(bench):
    """Every step of a small run, cut by the engines themselves."""
    for engine in ("reference", "fast"):
        materials = bench.materials(training={"engine": engine, "epochs": 2})
        session = bench.trainer(materials, engine).session
        chosen, train = session.choice.engine, materials.prepared.train
        batches = [
            micro
            for step in range(1, session.total_steps + 1)
            for micro in chosen.batches([train[row] for row in session.order.rows(step)])
        ]
        work = count_work(materials.config, materials.prepared, fast=engine == "fast", share=True)
        assert work.steps == session.total_steps
        assert work.micro_batches == len(batches)
        assert work.computed == sum(micro.computed for micro in batches)
        assert work.tokens == 2 * int(sum(train.lengths))
        assert work.supervised == sum(micro.batch.count for micro in batches)
        assert work.largest[0] == max(micro.computed for micro in batches)
    assert work.computed < work.tokens, "the instruction is shared"


@pytest.fixture
def preferences(bench, tmp_path):
    file = tmp_path / "pairs.jsonl"
    rows = [
        {"prompt": f"amber {number}", "chosen": "rose " * (number % 5 + 1), "rejected": "fell " * (number % 3 + 2)}
        for number in range(40)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"labels": None, "instruction": None, "split": {"test": 0.1, "validation": 0.1, "by": "random"}}
    return replace(bench, rows=file).materials(task="preference", data=data, training={"epochs": 1})


def test_preferences_are_two_rows_that_the_base_answers_too(bench, preferences):
    found = make_forecast(preferences, find_device("cpu-2"))
    assert found.engine == "reference"
    assert any("neither from single tokens nor from single rows" in assumption for assumption in found.assumptions)
    session, train = bench.trainer(preferences).session, preferences.prepared.train
    batches = [
        micro
        for step in range(1, session.total_steps + 1)
        for micro in session.choice.engine.batches([train[row] for row in session.order.rows(step)])
    ]
    work = count_work(preferences.config, preferences.prepared, fast=False, share=False)
    assert (found.computed, work.computed) == (work.computed, sum(micro.computed for micro in batches))
    assert work.supervised == sum(int((micro.batch.targets >= 0).sum()) for micro in batches)
    assert work.longest[0] > int(max(train.lengths)), "the prompt is read twice"
    case = Case(bench.sizes(preferences), find_device("cpu-2"), False, "fast", 16.0)
    together, alone = case.seconds(work), case.seconds(replace(work, compared=False))
    assert 1.2 < together["computation"] / alone["computation"] < 1.5
    assert together["memory bandwidth"] / alone["memory bandwidth"] == pytest.approx(1.5)


def test_virtual_tokens_go_through_the_layers(bench):
    """Once for all rows of a micro-batch in the fast engine, with every row in the other one; a prefix never does."""
    computed = {}
    for name in ("lora", "prompt", "prefix"):
        method = {"name": name} if name == "lora" else {"name": name, "tokens": 4}
        for engine in ("auto", "reference"):
            materials = bench.materials(method=method, training={"engine": engine, "micro_batch": 4, "epochs": 1})
            found = make_forecast(materials, find_device("cpu-2"))
            assert found.engine == ("fast" if engine == "auto" else "reference")
            computed[name, engine] = found.computed
    session = bench.trainer(
        bench.materials(method={"name": "prompt", "tokens": 4}, training={"micro_batch": 4, "epochs": 1})
    ).session
    train = session.materials.prepared.train
    steps = range(1, session.total_steps + 1)
    batches = [m for s in steps for m in session.choice.engine.batches([train[row] for row in session.order.rows(s)])]
    assert computed["prompt", "auto"] == sum(micro.computed for micro in batches)
    assert computed["prompt", "auto"] == computed["lora", "auto"] + 4 * len(batches)
    assert computed["prompt", "reference"] == computed["lora", "reference"] + 4 * len(train)
    assert computed["prefix", "auto"] == computed["lora", "auto"]
    assert computed["prefix", "reference"] == computed["lora", "reference"]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"method": {"name": "llama_adapter"}}, "adds its own inputs"),
        ({"method": {"name": "prompt"}, **BERT}, "of a causal language model only"),
        ({"method": {"name": "p_tuning", "encoder": "lstm", "dropout": 0.1}}, "with dropout"),
    ],
    ids=["llama_adapter", "encoder", "dropout"],
)
def test_what_the_fast_engine_refuses_is_not_forecast_on_it(bench, parts, reason):
    found = make_forecast(bench.materials(**parts), find_device("cpu-2"))
    assert found.engine == "reference"
    assert any("does not support this run" in words and reason in words for words in found.assumptions)
    with pytest.raises(ModelError, match=reason):
        make_forecast(bench.materials(**parts, training={"engine": "fast"}), find_device("cpu-2"))


def test_long_runs_are_sampled(bench):
    materials = bench.materials(training={"epochs": 100})
    work = count_work(materials.config, materials.prepared, fast=False, share=False)
    assert work.steps > 500
    assert work.tokens == pytest.approx(100 * sum(materials.prepared.train.lengths), rel=0.02)


def test_a_run_that_fits(bench):
    found = make_forecast(bench.materials(model={"dtype": "auto"}), find_device("rtx4090"))
    assert found.fits
    assert found.to_dict()["measured"] is False
    assert (found.dtype, found.engine, found.memory) == ("bfloat16", "fast", "balanced")
    assert found.most_rows == found.batch_size == 8
    assert found.room_mb == pytest.approx(ROOM * 24_000)
    assert found.training_hours > 0
    assert "estimate: nothing was measured on this device" in found.assumptions[0]


def test_memory_that_is_short_is_spared(bench):
    """`auto` keeps less where it must; where even that is too much, the run does not fit."""
    materials = bench.materials()
    sizes = bench.sizes(materials)
    work = count_work(materials.config, materials.prepared, fast=True, share=True)
    device = find_device("cpu-2")
    needed = {
        level: Case(sizes, device, True, level, 16.0).memory_mb(*work.largest[:2])["all"]
        for level in ("balanced", "low")
    }
    between = replace(device, memory_gb=np.mean(list(needed.values())) / 1e3 / ROOM)
    found = make_forecast(materials, between)
    assert (found.memory, found.fits) == ("low", True)
    too_small = replace(device, memory_gb=0.9 * needed["low"] / 1e3 / ROOM)
    found = make_forecast(materials, too_small)
    assert (found.memory, found.fits, found.most_rows) == ("low", False, 0)
    asked = make_forecast(bench.materials(training={"memory": "balanced"}), between)
    assert (asked.memory, asked.fits) == ("balanced", False)


def test_time_follows_the_device(bench):
    sizes = bench.sizes(bench.materials())
    materials = bench.materials()
    work = count_work(materials.config, materials.prepared, fast=True, share=True)
    slow, quick = (Case(sizes, find_device(name), True, "fast", 16.0).seconds(work) for name in ("cpu-4", "cpu-8"))
    assert slow["computation"] == pytest.approx(2 * quick["computation"])
    assert slow["memory bandwidth"] == quick["memory bandwidth"]
    again = Case(sizes, find_device("cpu-4"), True, "low", 16.0).seconds(work)
    assert 1.2 < again["computation"] / slow["computation"] < 1.5


def test_a_number_type_the_device_lacks(bench):
    with pytest.raises(ConfigError, match="T4 does not compute in bfloat16"):
        make_forecast(bench.materials(model={"dtype": "bfloat16"}), find_device("t4"))


def test_no_weight_is_loaded(bench, monkeypatch):
    from luthier.training.session import Materials

    def refuse(self):
        raise AssertionError("the base was loaded")

    monkeypatch.setattr(Materials, "load_base", refuse)
    make_forecast(bench.materials(), find_device("h100"))


def test_a_configuration_that_cannot_be_built(bench, tmp_path):
    materials = bench.materials()
    (tmp_path / "config.json").write_text('{"model_type": "no such model"}')
    broken = replace(materials, files=replace(materials.files, folder=tmp_path))
    with pytest.raises(ModelError, match="cannot be built"):
        tuned_without_weights(broken, torch.float32)
