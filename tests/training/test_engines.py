"""Which engine a run gets, and why; and that both engines train the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from luthier.errors import ModelError
from luthier.models.architectures import describe
from luthier.training import engines
from luthier.training.engines import choose_engine, choose_memory

pytestmark = pytest.mark.integration

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
COMMON = SIZES | {"vocab_size": 300, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "hidden_dropout": 0.0}
POSITIONS = "the model cannot be given positions of its tokens"
ATTENTION = "its attention does not go through the attention interface of transformers"
UNSUPPORTED = {
    "bloom": ({"n_layer": 2, "n_head": 4}, POSITIONS),
    "mpt": ({"d_model": 32, "n_heads": 4, "n_layers": 2, "expansion_ratio": 2}, POSITIONS),
    "falcon": ({"new_decoder_architecture": False, "alibi": False}, "flat rows do not go through it"),
    "deberta-v2": ({"pos_att_type": ["p2c", "c2p"], "relative_attention": True}, ATTENTION),
    "mpnet": ({}, ATTENTION),
}


def gathered(bench: Any, network: Any, **parts: Any) -> tuple[Any, Any]:
    """(materials of the small run, its base with another network)."""
    classify = "Classification" in type(network).__name__
    materials = bench.materials(
        "bert" if classify else "llama", task="sequence_classification" if classify else "causal_lm", **parts
    )
    base, inner = materials.load_base(), network.get_base_model()
    return materials, replace(base, network=inner, architecture=describe(inner, inner.config))


def unsupported(family: str) -> Any:
    """A tiny random network with LoRA."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    encoder = family in ("deberta-v2", "mpnet")
    config = AutoConfig.for_model(family, **COMMON, **UNSUPPORTED[family][0], **({"num_labels": 3} if encoder else {}))
    loader: Any = AutoModelForSequenceClassification if encoder else AutoModelForCausalLM
    kind = "SEQ_CLS" if encoder else "CAUSAL_LM"
    return get_peft_model(loader.from_config(config), LoraConfig(r=2, target_modules="all-linear", task_type=kind))


@pytest.mark.parametrize("family", UNSUPPORTED)
def test_what_the_fast_engine_does_not_support(family: str, bench: Any) -> None:
    network, reason = unsupported(family), UNSUPPORTED[family][1]
    implementation = network.config._attn_implementation
    materials, base = gathered(bench, network)
    choice = choose_engine(materials, network, base)
    assert choice.engine.name == "reference"
    assert choice.reason.startswith(f"the fast engine does not support this run: {reason}")

    rows = [materials.prepared.train[index] for index in range(4)]
    with choice.engine.running():
        assert all(torch.isfinite(choice.engine.loss(batch)) for batch in choice.engine.batches(rows))
    assert network.config._attn_implementation == implementation

    materials, base = gathered(bench, network, training={"engine": "fast"})
    with pytest.raises(ModelError, match=r"training\.engine: fast does not support this run") as refused:
        choose_engine(materials, network, base)
    assert reason in str(refused.value)
    assert refused.value.hint == "training.engine: auto"


def test_inputs_that_differ_from_layer_to_layer_are_not_supported(bench: Any) -> None:
    from peft import AdaptionPromptConfig, get_peft_model

    materials = bench.materials()
    base = materials.load_base()
    network = get_peft_model(base.network, AdaptionPromptConfig(adapter_len=3, adapter_layers=1, task_type="CAUSAL_LM"))
    choice = choose_engine(materials, network, base)
    assert choice.engine.name == "reference"
    assert choice.reason == "the fast engine does not support this run: the method adds its own inputs to the model"
    with pytest.raises(ModelError, match="the method adds its own inputs"):
        choose_engine(bench.materials(training={"engine": "fast"}), network, base)


@pytest.mark.parametrize("engine", ["auto", "fast", "reference"])
@pytest.mark.parametrize("base", ["llama", "bert"])
def test_the_configured_engine(engine: str, base: str, bench: Any) -> None:
    """`auto` is the fast one where it is exact."""
    task = "sequence_classification" if base == "bert" else "causal_lm"
    choice = bench.trainer(bench.materials(base, task=task, training={"engine": engine})).session.choice
    assert choice.engine.name == ("reference" if engine == "reference" else "fast")
    assert choice.reason == (
        "as configured"
        if engine == "reference"
        else "its loss and gradients were found equal to the plain model's on this network"
    )
    assert choice.memory == "balanced"


def test_full_tuning_is_supported(bench: Any) -> None:
    assert bench.trainer(bench.materials(method={"name": "full"})).session.choice.engine.name == "fast"


def test_padded_batches_of_the_reference_engine(bench: Any) -> None:
    materials = bench.materials(training={"engine": "reference", "micro_batch": 5})
    engine = bench.trainer(materials).session.choice.engine
    rows = [materials.prepared.train[index] for index in range(12)]
    batches = engine.batches(rows)
    assert [len(batch.batch.row_ids) for batch in batches] == [5, 5, 2]
    lengths = [int(length) for batch in batches for length in batch.batch.attention_mask_bt.sum(1)]
    assert lengths == sorted((len(row.ids) for row in rows), reverse=True)
    assert sum(batch.computed for batch in batches) == 5 * lengths[0] + 5 * lengths[5] + 2 * lengths[10]
    engine.micro_batch = "auto"
    automatic = engine.batches(rows)
    assert sorted(row for batch in automatic for row in batch.batch.row_ids) == sorted(row.row_id for row in rows)


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_low_memory_recomputes_layers(engine: str, bench: Any) -> None:
    def kept(memory: str) -> int:
        trainer = bench.trainer(bench.materials(training={"engine": engine, "memory": memory}), f"{engine}-{memory}")
        choice, sizes = trainer.session.choice, []
        assert (choice.memory, choice.memory_reason) == (memory, "as configured")
        trainer.network.train()
        with (
            choice.engine.running(),
            torch.autograd.graph.saved_tensors_hooks(
                lambda tensor: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor
            ),
        ):
            for batch in choice.engine.batches(trainer.rows(1)):
                choice.engine.loss(batch)
        return sum(sizes)

    assert kept("low") < 0.7 * kept("balanced")


@pytest.mark.parametrize(("free", "level"), [(10**12, "balanced"), (10**5, "low")])
def test_memory_is_chosen_by_what_is_free(free: int, level: str, bench: Any, monkeypatch: Any) -> None:
    materials = bench.materials()
    session = bench.trainer(materials).session
    network, base = session.network, session.base
    monkeypatch.setattr(engines, "free_memory", lambda device: free)
    chosen, reason = choose_memory(materials, network, base, fast=True)
    assert chosen == level
    assert reason.endswith(f"{free / 1e9:.1f} GB are free")
    configured = bench.materials(training={"memory": "fast"})
    assert choose_memory(configured, network, base, fast=True) == ("fast", "as configured")


def test_memory_is_reckoned_for_the_largest_micro_batch_there_can_be(bench: Any, monkeypatch: Any) -> None:
    session = bench.trainer(bench.materials()).session
    monkeypatch.setattr(engines, "frozen_bytes", lambda network: 0)
    monkeypatch.setattr(engines, "count_parameters", lambda network: (0, 0))

    def enough(tokens: int, *, fast: bool = True, **training: Any) -> bool:
        """Whether memory for so many tokens is enough, and for one less is not."""
        a_token = engines.Layers.of(session.base, session.network).kept_bytes("balanced", fast=fast)
        a_token *= 1 + engines.pieces("cpu", fast=fast)
        levels = []
        for count in (tokens, tokens - 1):
            monkeypatch.setattr(engines, "free_memory", lambda device, n=count: (n + 0.5) * a_token / engines.ROOM)
            materials = bench.materials(training=training)
            levels.append(choose_memory(materials, session.network, session.base, fast=fast)[0])
        return levels == ["balanced", "low"]

    longest = int(max(bench.materials().prepared.train.lengths))
    assert enough(1024)
    assert enough(2048, fast=False)
    assert enough(100 * longest, micro_batch=100)


# -- both train the same ---------------------------------------------------------------------------------------------


def curve(bench: Any, events: Any, engine: str, base: str = "llama", **parts: Any) -> list[float]:
    """Losses of 50 steps."""
    training = {"engine": engine, "epochs": 50, "max_steps": 50, "checkpoint": {"every": None}, "learning_rate": 2e-3}
    materials = bench.materials(base, training=training, evaluation={"every": None, "samples": 0}, **parts)
    trainer = bench.trainer(materials, f"{base}-{engine}")
    assert trainer.session.choice.engine.name == engine
    object.__setattr__(trainer.judge, "rows", [])
    trainer.fit()
    return [event["loss"] for event in events(trainer)]


@pytest.mark.parametrize("base", ["llama", "bert"])
def test_fifty_steps_are_those_of_the_reference(base: str, bench: Any, events: Any) -> None:
    parts: Any = {"task": "sequence_classification"} if base == "bert" else {}
    if base == "bert":
        bench.models["bert"] = without_dropout(bench.models["bert"], bench.folder / "still")
    fast, reference = (curve(bench, events, engine, base, **parts) for engine in ("fast", "reference"))
    assert len(fast) == 50
    assert fast == pytest.approx(reference, abs=1e-4)
    assert sum(fast[-5:]) < 0.9 * sum(fast[:5]), "it learned"


def without_dropout(folder: Any, target: Any) -> Any:
    """A copy of a model that drops nothing."""
    import json
    import shutil

    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (target / "config.json").write_text(json.dumps(config))
    return target


@pytest.mark.real
def test_fifty_steps_on_the_phrasebank(bench: Any, events: Any, shared_data: Any) -> None:
    path = shared_data / "financial_phrasebank" / "Sentences_AllAgree.txt"
    data = {"train": str(path), "labels": ["positive", "neutral", "negative"], "limit": 300, "max_length": 128}
    fast, reference = (curve(bench, events, engine, data=data) for engine in ("fast", "reference"))
    assert len(fast) == 50
    assert fast == pytest.approx(reference, abs=1e-4)
    assert sum(fast[-5:]) < 0.9 * sum(fast[:5]), "it learned"
