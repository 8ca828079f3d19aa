"""The engine as a whole: the loss and every gradient are those of plain `transformers`, `peft` and torch.

In float32, unless a test says otherwise; relative to the norm of each tensor.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from luthier.config import ModelConfig
from luthier.data.records import TokenSequence
from luthier.errors import ConfigError, ModelError
from luthier.methods._float32 import trained_in_float32
from luthier.models.files import resolve
from luthier.models.loading import load_base
from luthier.tasks.sequence_classification import SequenceClassification, SequenceClassificationOptions
from luthier.training.fast import lora, output, trial
from luthier.training.fast.attention import NAME
from luthier.training.fast.engine import TECHNIQUES, FastEngine
from luthier.training.fast.trial import trial_rows

DECODERS = (
    *("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "gpt_neox", "gpt2", "opt", "phi", "smollm3"),
)
Rows = Sequence[TokenSequence]
NOT_SHARED = "common beginnings are not shared: with dropout every row draws its own"


def worst(one: Any, other: Any) -> float:
    """Largest error of a result against another."""
    return max(one.errors(other).values())


# -- exactness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", DECODERS)
def test_language_models(family: str, tiny: Any, engine_of: Any, assert_exact: Any, awkward: Rows) -> None:
    network = tiny(family)
    engine = engine_of(network)
    assert engine.share
    found = assert_exact(engine, awkward)
    assert {name for name, p in network.named_parameters() if p.requires_grad} == set(found.gradients)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "bert", "roberta", "modernbert"])
def test_classifiers(family: str, tiny: Any, engine_of: Any, assert_exact: Any, awkward: Rows) -> None:
    engine = engine_of(tiny(family, classify=True))
    assert engine.share == (family in DECODERS), "an encoder's beginnings depend on what follows"
    assert any("modules_to_save" in name for name in assert_exact(engine, awkward).gradients)


@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral", "bert", "roberta", "modernbert"])
def test_taggers(family: str, tiny: Any, engine_of: Any, assert_exact: Any, tagged: Rows) -> None:
    still = {"classifier_dropout": 0.0}  # heads of taggers draw dropout unless they are told not to
    engine = engine_of(tiny(family, tag=True, configuration=still), examples=tagged)
    assert engine.share == (family in DECODERS), "an encoder's beginnings depend on what follows"
    assert any("modules_to_save" in name for name in assert_exact(engine, tagged).gradients)


@pytest.mark.parametrize("kind", ["several", "regression"])
@pytest.mark.parametrize("family", ["llama", "bert"])
def test_other_answers_of_a_classifier(
    family: str, kind: str, tiny: Any, engine_of: Any, fast: Any, result_of: Any, awkward: Rows
) -> None:
    task = SequenceClassification(SequenceClassificationOptions(kind=kind))
    answers = ["up", "", "down | up", "flat"] if kind == "several" else ["0.5", "-1.25", "2.0", "0.0"]
    rows = [replace(row, label=answers[number % 4]) for number, row in enumerate(awkward)]
    labels = ("up", "down", "flat")
    network = tiny(family, classify=True, configuration={"num_labels": len(task.outputs(labels))})
    engine = engine_of(network, task=task, examples=rows)
    expected = result_of(network, [task.loss(network, engine.collate(rows))])
    assert worst(fast(engine, rows), expected) < 1e-5


@pytest.mark.parametrize(
    "options",
    [
        {"bias": "all", "configuration": {"attention_bias": True, "mlp_bias": True}},
        {"bias": "lora_only", "configuration": {"attention_bias": True}},
        {"use_rslora": True, "r": 64},
        {"target_modules": ["q_proj", "v_proj"]},
        {"target_modules": ["down_proj", "q_proj"], "layers_to_transform": [1]},
        {"target_modules": ["q_proj", "lm_head"]},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"modules_to_save": ["lm_head"]},
        {"modules_to_save": ["embed_tokens"]},
        {"rank_pattern": {"q_proj": 1}, "alpha_pattern": {"up_proj": 3}},
        {"lora_bias": True, "configuration": {"attention_bias": True}, "target_modules": ["q_proj", "v_proj"]},
    ],
    ids=lambda options: " ".join(options)[:60],
)
def test_options_of_lora(options: Any, tiny: Any, engine_of: Any, assert_exact: Any, awkward: Rows) -> None:
    assert_exact(engine_of(tiny("llama", **options)), awkward)


@pytest.mark.parametrize(
    ("family", "sizes"),
    [("llama", [3, 1, 2, 1]), ("bert", [3, 1, 1, 1]), ("gpt_neox", [1, 1, 1, 1])],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_layers_that_read_one_input_are_one_operation(
    family: str, sizes: list[int], tiny: Any, engine_of: Any, awkward: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(tiny(family, target_modules="all-linear"))
    together, found = lora._together, list[int]()
    monkeypatch.setattr(lora, "_together", lambda x, layers: found.append(len(layers)) or together(x, layers))
    with engine.running():
        engine.body(engine.batches(awkward)[0])
    whole = (sizes[:-1] if family == "llama" else sizes) * (len(engine.parts.layers) - 1)  # a gate has its own function
    assert len(whole) >= 3
    assert found[: len(whole)] == whole  # in the last layer queries are computed where they are read


@pytest.mark.parametrize("family", ["opt", "bert"])
def test_biases_of_keys_whose_gradients_are_rounding(
    family: str, tiny: Any, engine_of: Any, assert_exact: Any, awkward: Rows
) -> None:
    """A key's bias changes no attention: its gradient is zero, and what float32 makes of it is noise."""
    assert_exact(engine_of(tiny(family, bias="all")), awkward)


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_whole_networks(family: str, families: Any, engine_of: Any, assert_exact: Any, awkward: Rows) -> None:
    network = families(family).requires_grad_(True).train()
    assert network.config.tie_word_embeddings == (family == "gemma")
    assert_exact(engine_of(network), awkward)


@pytest.mark.parametrize(
    ("family", "scaling"),
    [("cohere", {"logit_scale": 0.3}), ("granite", {"logits_scaling": 4.0, "residual_multiplier": 0.7})],
)
def test_scaled_logits(
    family: str, scaling: Any, adapted: Any, engine_of: Any, assert_exact: Any, awkward: Rows
) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    special = {"vocab_size": 97, "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 2, "initializer_range": 0.2}
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **sizes, **special, **scaling))
    assert_exact(engine_of(adapted(network.requires_grad_(False))), awkward)


def test_a_chunked_head(tiny: Any, engine_of: Any, assert_exact: Any, awkward: Rows, monkeypatch: Any) -> None:
    monkeypatch.setattr(output, "CHUNK_NUMBERS", 300)
    assert_exact(engine_of(tiny("gemma2")), awkward)


@pytest.mark.parametrize("size", [None, 1, 3])
def test_the_micro_batch_changes_nothing(
    size: int | None, tiny: Any, engine_of: Any, fast: Any, assert_exact: Any, awkward: Rows
) -> None:
    engine = engine_of(tiny("llama"), micro_batch=size)
    assert len(engine.batches(awkward)) == (-(-len(awkward) // size) if size else 1)
    assert_exact(engine, awkward)


def test_a_micro_batch_with_nothing_to_learn(tiny: Any, engine_of: Any, fast: Any, row: Any, words: Any) -> None:
    found = fast(engine_of(tiny("llama")), [row(words(9, 1), [], 0), row(words(7, 2), [], 1)])
    assert found.loss == 0.0
    assert not any(bool(gradient.any()) for gradient in found.gradients.values())


ROW = st.tuples(st.integers(0, 26), st.integers(1, 20), st.integers(0, 2**20), st.sets(st.integers(0, 40), min_size=1))
TARGETS = ("all-linear", ["q_proj", "v_proj"], ["o_proj", "gate_proj", "down_proj"], ["k_proj", "up_proj", "lm_head"])


@given(
    rows=st.lists(ROW, min_size=1, max_size=5),
    rank=st.sampled_from([1, 2, 7, 32, 256]),
    targets=st.sampled_from(TARGETS),
    bias=st.sampled_from(["none", "lora_only", "all"]),
    rslora=st.booleans(),
    family=st.sampled_from(["llama", "mistral", "gemma2"]),
)
@settings(max_examples=12, deadline=None)
def test_any_rows_and_options(
    rows: Any, rank: int, targets: Any, bias: str, rslora: bool, family: str,
    tiny: Any, engine_of: Any, assert_exact: Any, row: Any, words: Any,
) -> None:  # fmt: skip
    """Rows begin with so many tokens of one text and go on with tokens of their own."""
    network = tiny(
        family, r=rank, lora_alpha=rank, target_modules=targets, bias=bias, use_rslora=rslora,
        configuration={"attention_bias": True} if family != "mistral" else {},
    )  # fmt: skip
    made = [
        row([*words(26, 1)[:common], *words(own, seed)], learned, number)
        for number, (common, own, seed, learned) in enumerate([*rows, (9, 6, 0, {3, 12}), (9, 4, 1, {-1})])
    ]
    assert_exact(engine_of(network), made)


# -- rows and their neighbours ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", DECODERS)
def test_sharing_is_exact(family: str, tiny: Any, engine_of: Any, fast: Any, awkward: Rows) -> None:
    network = tiny(family)
    shared, apart = engine_of(network), engine_of(network, share=False)
    computed = [sum(batch.computed for batch in engine.batches(awkward)) for engine in (shared, apart)]
    assert computed[0] < computed[1] == sum(len(row.ids) for row in awkward)
    one, other = fast(shared, awkward), fast(apart, awkward)
    whole, difference = (
        torch.cat([gradient.flatten() for gradient in gradients])
        for gradients in (
            other.gradients.values(),
            [one.gradients[name] - other.gradients[name] for name in other.gradients],
        )
    )
    assert abs(one.loss - other.loss) <= 1e-6 * other.loss
    assert float(difference.norm()) <= 1e-6 * float(whole.norm())
    assert worst(one, other) <= 3e-6, "every tensor by itself"


def loss_of_one(engine: FastEngine, rows: Sequence[Sequence[int]], number: int, row: Any) -> float:
    """The loss of one row among others."""
    made = [row(ids, range(1, len(ids)) if index == number else [], index) for index, ids in enumerate(rows)]
    with engine.running(), torch.no_grad():
        return sum(float(engine.loss(batch)) for batch in engine.batches(made))


@pytest.mark.parametrize("head", [0, 14], ids=["", "common beginning"])
@pytest.mark.parametrize("share", [True, False], ids=["shared", "apart"])
@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
def test_a_row_does_not_know_its_neighbours(
    family: str, share: bool, head: int, tiny: Any, engine_of: Any, row: Any, words: Any
) -> None:
    engine = engine_of(tiny(family), share=share)
    begin = words(head, 99) if head else []

    def loss(own: int, neighbour: Sequence[int]) -> float:
        rows = [[*begin, *neighbour], [*begin, *words(11, 2)], [*begin, *words(17, own)], words(3, 7)]
        return loss_of_one(engine, rows, 2, row)

    alone = loss(3, words(13, 1))
    assert all(loss(3, words(13, seed)) == alone for seed in range(20, 28)), "bitwise, with rows of the same length"
    for length in (1, 2, 5, 12, 14, 30, 40):
        assert loss(3, words(length, length)) == pytest.approx(alone, rel=1e-6)
    assert abs(loss(4, words(13, 1)) - alone) > 1e-3


def test_a_classified_row_does_not_know_its_neighbours(
    tiny: Any, engine_of: Any, plain: Any, row: Any, words: Any
) -> None:
    network = tiny("bert")
    engine = engine_of(network)
    mine = row(words(17, 3), [], 0)

    def logits(neighbour: int, length: int) -> torch.Tensor:
        seen = []
        handle = network.get_base_model().classifier.register_forward_hook(lambda module, given, out: seen.append(out))
        with engine.running(), torch.no_grad():
            engine.loss(engine.batches([row(words(length, neighbour), [], 1), mine])[0])
        handle.remove()
        return seen[0][1]

    assert torch.equal(logits(1, 13), logits(2, 13))
    for length in (1, 12, 40):
        torch.testing.assert_close(logits(1, 13), logits(2, length), rtol=1e-6, atol=1e-6)


# -- bfloat16 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_bfloat16_is_as_exact_as_the_standard_path(
    family: str, families: Any, adapted: Any, engine_of: Any, fast: Any, plain: Any, oracle: Any, awkward: Rows
) -> None:
    """Against float64, over several networks: losses of single rows and whole gradients, by their mean squares."""
    losses: dict[str, list[float]] = {"fast": [], "plain": []}
    gradients: dict[str, list[float]] = {"fast": [], "plain": [], "padded": []}
    for seed in range(3):
        network = adapted(families(family, seed=seed, initializer_range=0.1).bfloat16())
        trained_in_float32(network, torch.bfloat16)
        assert {p.dtype for p in network.parameters() if p.requires_grad} == {torch.float32}
        engine, truth = engine_of(network, dtype=torch.bfloat16), oracle(network, awkward)
        padded = plain(network, awkward, padded=True)
        for name, result in (("fast", fast(engine, awkward)), ("plain", plain(network, awkward)), ("padded", padded)):
            off = [(result.gradients[key].double() - value).flatten() for key, value in truth.gradients.items()]
            gradients[name].append(float(torch.cat(off).square().sum()))
        for one in awkward:
            true = oracle(network, [one]).loss
            for name, result in (("fast", fast(engine, [one])), ("plain", plain(network, [one]))):
                losses[name].append((result.loss / true - 1) ** 2)
    for errors in (losses, gradients):
        found = {name: statistics.mean(squares) ** 0.5 for name, squares in errors.items()}
        ours = found.pop("fast")
        assert 0 < ours <= 1.2 * max(found.values()), (ours, found)


@pytest.mark.parametrize(
    "options", [{"bias": "all", "configuration": {"mlp_bias": True}}, {"modules_to_save": ["lm_head"]}]
)
def test_parts_in_float32_inside_of_bfloat16(
    options: Any, families: Any, adapted: Any, engine_of: Any, fast: Any, plain: Any, oracle: Any, awkward: Rows
) -> None:
    options = dict(options)
    network = adapted(families("llama", **options.pop("configuration", {})).bfloat16(), **options)
    trained_in_float32(network, torch.bfloat16)
    truth = oracle(network, awkward)
    found, usual = fast(engine_of(network, dtype=torch.bfloat16), awkward), plain(network, awkward)
    assert {gradient.dtype for gradient in found.gradients.values()} == {torch.float32}
    assert statistics.mean(found.errors(truth).values()) <= 1.2 * statistics.mean(usual.errors(truth).values())


def test_float16_works_too(
    families: Any, adapted: Any, engine_of: Any, fast: Any, plain: Any, oracle: Any, awkward: Rows
) -> None:
    network = adapted(families("llama").half())
    trained_in_float32(network, torch.float16)
    truth = oracle(network, awkward)
    found, usual = fast(engine_of(network, dtype=torch.float16), awkward), plain(network, awkward)
    assert statistics.mean(found.errors(truth).values()) <= 1.2 * statistics.mean(usual.errors(truth).values())


# -- what it leaves to others ----------------------------------------------------------------------------------------


def test_dora_runs_as_in_peft_and_stays_exact(tiny: Any, engine_of: Any, assert_exact: Any, awkward: Rows) -> None:
    engine = engine_of(tiny("llama", use_dora=True))
    assert engine.notes == [
        "14 of 14 LoRA layers run as in peft (dropout, DoRA, AdaLoRA, a quantised base or no linear layer)"
    ]
    assert any("magnitude" in name for name in assert_exact(engine, awkward).gradients)


def test_conv1d_runs_as_in_peft(tiny: Any, engine_of: Any) -> None:
    assert engine_of(tiny("gpt2")).notes == [
        "8 of 8 LoRA layers run as in peft (dropout, DoRA, AdaLoRA, a quantised base or no linear layer)"
    ]


def test_a_plain_run_has_no_notes(tiny: Any, engine_of: Any) -> None:
    assert engine_of(tiny("llama")).notes == []


def test_dropout_of_lora_is_not_shared(tiny: Any, engine_of: Any, fast: Any, assert_exact: Any, awkward: Rows) -> None:
    network = tiny("llama", lora_dropout=0.2)
    engine = engine_of(network)
    assert engine.notes == [
        "14 of 14 LoRA layers run as in peft (dropout, DoRA, AdaLoRA, a quantised base or no linear layer)",
        NOT_SHARED,
    ]
    assert not engine.share
    torch.manual_seed(0)
    assert worst(fast(engine, awkward), fast(engine, awkward)) > 1e-3, "it drops"
    network.eval()
    assert_exact(engine, awkward)


@pytest.mark.parametrize(
    ("family", "configuration"),
    [
        ("llama", {"attention_dropout": 0.3}),
        ("opt", {"dropout": 0.1}),
        ("opt", {"attention_dropout": 0.1}),
        ("gpt2", {"resid_pdrop": 0.1}),
        ("gpt2", {"attn_pdrop": 0.1}),
        ("phi", {"embd_pdrop": 0.1}),
    ],
    ids=lambda value: "".join(value),
)
def test_dropout_of_the_base_is_not_shared(
    family: str, configuration: Any, tiny: Any, engine_of: Any, fast: Any, assert_exact: Any, awkward: Rows
) -> None:
    network = tiny(family, configuration=configuration)
    engine = engine_of(network)
    assert not engine.share
    assert NOT_SHARED in engine.notes
    torch.manual_seed(0)
    assert worst(fast(engine, awkward), fast(engine, awkward)) > 1e-3, "it drops"
    network.eval()
    assert_exact(engine, awkward)


# -- memory, techniques and what is left behind ----------------------------------------------------------------------


def kept_bytes(engine: FastEngine, rows: Rows) -> int:
    """What a forward pass keeps for the backward pass, weights left out."""
    weights = {parameter.data_ptr() for parameter in engine.parts.network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    [batch] = engine.batches(rows)
    with engine.running(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        engine.loss(batch)
    return sum(kept.values())


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt_neox"])
def test_memory_levels_give_the_same(family: str, tiny: Any, engine_of: Any, fast: Any, awkward: Rows) -> None:
    results, kept = {}, {}
    for level in ("low", "balanced", "fast"):
        engine = engine_of(tiny(family), memory=level)
        results[level], kept[level] = fast(engine, awkward), kept_bytes(engine, awkward)
    assert worst(results["low"], results["fast"]) <= 1e-6
    assert worst(results["balanced"], results["fast"]) <= 1e-6
    assert kept["low"] < kept["balanced"] <= kept["fast"]
    assert (kept["balanced"] < kept["fast"]) == (family != "gpt_neox"), "only gated products are recomputed"


@pytest.mark.parametrize("family", ["llama", "gemma2"])
@pytest.mark.parametrize("without", [*TECHNIQUES, ",".join(TECHNIQUES)])
def test_without_a_technique_it_is_the_same(
    without: str, family: str, tiny: Any, engine_of: Any, assert_exact: Any, fast: Any, awkward: Rows, monkeypatch: Any
) -> None:
    usual = engine_of(tiny(family))
    expected = fast(usual, awkward)
    monkeypatch.setenv("LUTHIER_FAST_WITHOUT", without)
    engine = engine_of(tiny(family))
    assert worst(fast(engine, awkward), expected) <= 5e-6
    assert engine.share == ("prefixes" not in without)
    assert engine.notes == [f"switched off by LUTHIER_FAST_WITHOUT: {', '.join(sorted(without.split(',')))}"]
    fewer = any(name in without for name in ("fused-lora", "norms", "recompute"))
    assert (len(engine.forwards) < len(usual.forwards)) == fewer
    padded = len(awkward) * max(len(row.ids) for row in awkward)
    assert (sum(batch.computed for batch in engine.batches(awkward)) == padded) == (without == ",".join(TECHNIQUES))


def test_no_technique_of_that_name(tiny: Any, engine_of: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("LUTHIER_FAST_WITHOUT", "head,prefix")
    with pytest.raises(ConfigError, match="no technique 'prefix'"):
        engine_of(tiny("llama"))


@pytest.mark.parametrize("without", TECHNIQUES)
@pytest.mark.parametrize("family", ["llama", "bert"])
def test_classifiers_without_a_technique(
    without: str, family: str, tiny: Any, engine_of: Any, assert_exact: Any, awkward: Rows, monkeypatch: Any
) -> None:
    monkeypatch.setenv("LUTHIER_FAST_WITHOUT", without)
    assert_exact(engine_of(tiny(family, classify=True)), awkward)


def footprint(network: nn.Module) -> tuple[list[Any], set[Any], list[int]]:
    """Replaced forwards, attention implementations, and hooks."""
    modules = list(network.modules())
    configs = [getattr(module, "config", None) for module in modules]
    return (
        [module for module in modules if "forward" in vars(module)],
        {config._attn_implementation for config in configs if config is not None},
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules],
    )


@pytest.mark.parametrize("family", ["llama", "gemma2", "bert", "roberta"])
def test_the_network_is_left_as_it_was(
    family: str, tiny: Any, engine_of: Any, fast: Any, plain: Any, awkward: Rows
) -> None:
    network = tiny(family)
    before, expected = footprint(network), plain(network, awkward)
    engine = engine_of(network)
    assert network.training, "also in the mode it was in"
    assert all(parameter.grad is None for parameter in network.parameters())
    assert footprint(network) == before
    with engine.running():
        replaced = {module for module, _ in engine.forwards} | set(engine.last.modules)
        assert len(footprint(network)[0]) == len(replaced) > 0
        assert footprint(network)[1] == {NAME}
    assert footprint(network) == before
    fast(engine, awkward)
    assert footprint(network) == before
    again = plain(network, awkward)
    assert again.loss == expected.loss
    assert all(torch.equal(again.gradients[name], value) for name, value in expected.gradients.items())


@pytest.mark.parametrize("family", ["llama", "bert", "roberta"])
def test_the_network_is_left_as_it_was_after_an_error(
    family: str, tiny: Any, engine_of: Any, awkward: Rows, monkeypatch: Any
) -> None:
    network = tiny(family)
    engine = engine_of(network)
    before = footprint(network)
    [batch] = engine.batches(awkward)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    head = network.get_base_model().lm_head if family == "llama" else network.get_base_model().classifier
    with monkeypatch.context() as patch:
        patch.setattr(
            engine.output if family == "llama" else head, "loss" if family == "llama" else "forward", interrupted
        )
        with pytest.raises(KeyboardInterrupt), engine.running():
            engine.loss(batch)
    assert footprint(network) == before


@pytest.mark.parametrize(("dtype", "factor"), [(torch.float32, 1.01), (torch.bfloat16, 1.3), (torch.float16, 1.3)])
def test_a_network_that_fails_the_trial_is_left_as_it_was(
    dtype: torch.dtype, factor: float, families: Any, adapted: Any, engine_of: Any, monkeypatch: Any
) -> None:
    network = adapted(families("llama").to(dtype))
    trained_in_float32(network, dtype)
    before = footprint(network)
    monkeypatch.setattr(
        FastEngine, "loss", lambda self, flat: factor * self._token_loss(self.task, flat, self.read(flat))
    )
    with pytest.raises(NotImplementedError, match="flat rows change its loss or gradients"):
        engine_of(network, dtype=dtype)
    assert footprint(network) == before
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_fails_the_trial(
    value: float, tiny: Any, engine_of: Any, monkeypatch: Any
) -> None:
    network = tiny("llama")
    last = [p for p in network.parameters() if p.requires_grad][-1]
    gradients = trial.gradients

    def poisoned(network: Any, loss: torch.Tensor) -> list[torch.Tensor]:
        found = gradients(network, loss)
        if network.config._attn_implementation == NAME:
            found[-1].fill_(value)
        return found

    assert last.requires_grad
    monkeypatch.setattr(trial, "gradients", poisoned)
    with pytest.raises(NotImplementedError, match="flat rows change"):
        engine_of(network)


def test_steps_are_seen(tiny: Any, engine_of: Any, assert_exact: Any, awkward: Rows) -> None:
    """The engine is made once, the weights change after it."""
    network = tiny("gemma2")
    engine = engine_of(network)
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 1e-2)
    before = assert_exact(engine, awkward)
    with engine.running():
        for batch in engine.batches(awkward):
            engine.loss(batch).backward()
    optimiser.step()
    assert abs(assert_exact(engine, awkward).loss - before.loss) > 1e-3


def test_the_trial_sees_what_a_new_adapter_would_do(families: Any, engine_of: Any, monkeypatch: Any) -> None:
    """Its B is zero: until it is not, nothing tells a right scale from a wrong one."""
    from peft import LoraConfig, get_peft_model

    network = get_peft_model(families("llama"), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert engine_of(network).share
    together = lora._together
    monkeypatch.setattr(
        lora, "_together", lambda x, layers: together(x, [each._replace(scale=2 * each.scale) for each in layers])
    )
    with pytest.raises(NotImplementedError, match="flat rows change"):
        engine_of(network)
    assert not any(p.any() for name, p in network.named_parameters() if "lora_B" in name)


def test_rows_that_notice_each_other_fail_the_trial(families: Any, adapted: Any, engine_of: Any) -> None:
    """In bfloat16 the gradients alone would not tell."""
    network = adapted(families("llama").to(torch.bfloat16))
    trained_in_float32(network, torch.bfloat16)
    engine_of(network, dtype=torch.bfloat16)
    mlp = next(module for name, module in network.named_modules() if name.endswith("layers.0.mlp"))
    mlp.register_forward_hook(lambda module, inputs, output: output + 0.02 * output.roll(1, 1))
    with pytest.raises(NotImplementedError, match="rows that stand side by side change each other"):
        engine_of(network, dtype=torch.bfloat16)


def test_dropout_of_any_kind_is_noticed(tiny: Any, engine_of: Any) -> None:
    network = tiny("llama")
    assert not engine_of(network).draws
    mlp = next(module for name, module in network.named_modules() if name.endswith("layers.1.mlp"))
    mlp.register_forward_hook(
        lambda module, inputs, output: nn.functional.dropout(output, 0.1, training=module.training)
    )
    engine = engine_of(network)
    assert (engine.draws, engine.share, engine.below) == (True, False, None)
    assert NOT_SHARED in engine.notes


def test_the_trial_draws_nothing_of_what_training_draws(tiny: Any, engine_of: Any) -> None:
    network = tiny("llama", configuration={"attention_dropout": 0.1})
    before = torch.get_rng_state()
    assert engine_of(network).draws
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("lengths", [[1], [2, 1], [40, 3], [5] * 30])
def test_trial_rows_are_short_and_learn(lengths: Sequence[int], row: Any, words: Any) -> None:
    examples = [row(words(length, number), [], number) for number, length in enumerate(lengths)]
    made = trial_rows(examples)
    assert len(made) == 3
    assert max(len(row.ids) for row in made) <= 26
    assert all(row.label is not None for row in made)
    known = {token for row in examples for token in row.ids}
    assert {token for row in made for token in row.ids} <= known
    if max(lengths) > 1:
        assert any(row.supervised_count and len(row.ids) > 1 for row in made)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("family", ["llama", "gemma2", "bert"])
def test_on_cuda(family: str, tiny: Any, engine_of: Any, assert_exact: Any, awkward: Rows) -> None:
    assert_exact(engine_of(tiny(family).cuda()), awkward)


# -- real models -----------------------------------------------------------------------------------------------------


def read_stories(folder: Path) -> tuple[Any, list[bytes]]:
    """(a Llama of 260 thousand weights that tells stories, its vocabulary).

    The file holds the numbers of the architecture and then all weights. Its rotation turns neighbouring pairs,
    the one of transformers turns halves: the rows of queries and keys are sorted anew.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    data = (folder / "stories260K.bin").read_bytes()
    width, inner, layers, heads, groups, vocabulary, positions = np.frombuffer(data, np.int32, 7).tolist()
    rest, at = torch.from_numpy(np.frombuffer(data, np.float32, offset=28).copy()), 0

    def take(*shape: int) -> torch.Tensor:
        nonlocal at
        at += (size := int(np.prod(shape)))
        return rest[at - size : at].view(shape)

    narrow = width // heads * groups
    names = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
    shapes = {
        "input_layernorm": (width,),
        **dict(zip(names, [(s, width) for s in (width, narrow, narrow, width)], strict=True)),
    }
    shapes |= {"post_attention_layernorm": (width,), "mlp.gate_proj": (inner, width)}
    shapes |= {"mlp.down_proj": (width, inner), "mlp.up_proj": (inner, width)}
    state = {"model.embed_tokens.weight": take(vocabulary, width)}
    for name, shape in shapes.items():
        for layer, weight in enumerate(take(layers, *shape)):
            if name.endswith(("q_proj", "k_proj")):
                weight = weight.view(-1, width // heads // 2, 2, width).transpose(1, 2).reshape(shape)
            state[f"model.layers.{layer}.{name}.weight"] = weight
    state["model.norm.weight"] = take(width)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=groups, max_position_embeddings=positions,
        rms_norm_eps=1e-5, tie_word_embeddings=True, pad_token_id=0,
    )  # fmt: skip
    network = LlamaForCausalLM(config)
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert (set(missing), unexpected) == ({"lm_head.weight"}, [])
    return network.requires_grad_(False).eval(), read_vocabulary(folder / "tok512.bin", vocabulary)


def read_vocabulary(file: Path, count: int) -> list[bytes]:
    """Each token is a score, a length and its bytes."""
    data, at, pieces = file.read_bytes(), 4, []
    for _ in range(count):
        length = int(np.frombuffer(data, np.int32, 1, at + 4)[0])
        pieces.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    return pieces


def encode(text: str, pieces: list[bytes]) -> list[int]:
    """Always the longest token that fits, behind the begin token."""
    rest, ids = f" {text}".encode(), [1]
    while rest:
        ids.append(max((i for i in range(3, len(pieces)) if rest.startswith(pieces[i])), key=lambda i: len(pieces[i])))
        rest = rest[len(pieces[ids[-1]]) :]
    return ids


STORY = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."


@pytest.mark.real
def test_a_model_that_tells_stories(
    shared_data: Path, adapted: Callable[..., Any], engine_of: Any, assert_exact: Any, row: Any, plain: Any
) -> None:
    network, pieces = read_stories(shared_data.parent / "models" / "stories260K")
    story = encode(STORY, pieces)
    rows = [row(story, range(1, len(story)), 0)]
    likely = float(network(torch.tensor([story]), labels=torch.tensor([story])).loss)
    assert likely < 1.5, "it knows such stories: its weights are in their places"
    rows += [row([*story[:30], *encode(end, pieces)[1:]], range(25, 34), 1) for end in ("a dog.", "a big red ball.")]
    engine = engine_of(adapted(network), pad_id=0, examples=rows)
    assert engine.share
    assert_exact(engine, rows)


@pytest.mark.real
def test_smollm2_in_bfloat16_passes_the_trial(smollm2: str, adapted: Any, engine_of: Any, row: Any) -> None:
    base = load_base(ModelConfig(base=smollm2, dtype="bfloat16", device="cpu"), resolve(smollm2), head="causal_lm")
    network = adapted(base.network)
    trained_in_float32(network, torch.bfloat16)
    rows = [row(base.tokenizer(STORY)["input_ids"], [-1], 0)]
    engine = engine_of(network, dtype=torch.bfloat16, pad_id=base.tokenizer.pad_token_id, examples=rows)
    assert (engine.share, engine.notes) == (True, [])


@pytest.mark.real
def test_smollm2(smollm2: str, adapted: Callable[..., Any], engine_of: Any, assert_exact: Any, row: Any) -> None:
    base = load_base(ModelConfig(base=smollm2, dtype="float32", device="cpu"), resolve(smollm2), head="causal_lm")
    ids = base.tokenizer(STORY)["input_ids"]
    rows = [row(ids, range(1, len(ids)), 0), row([*ids[:15], *ids[3:6]], [-1, -2], 1)]
    engine = engine_of(adapted(base.network), pad_id=base.tokenizer.pad_token_id, examples=rows)
    assert engine.share
    assert engine.notes == []
    assert_exact(engine, rows)


# -- virtual tokens --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["prompt", "p_tuning", "prefix", "multitask_prompt"])
@pytest.mark.parametrize("family", DECODERS)
def test_virtual_tokens(
    family: str, method: str, prompted: Any, engine_of: Any, assert_exact: Any, awkward: Rows
) -> None:
    engine = engine_of(prompted(family, method))
    assert engine.share
    assert engine.last is not None
    assert_exact(engine, awkward)


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_virtual_tokens_are_computed_once(method: str, prompted: Any, engine_of: Any, awkward: Rows) -> None:
    engine = engine_of(prompted("llama", method, tokens=5), share=False)
    (flat,) = engine.batches(awkward)
    own = sum(len(row.ids) for row in awkward)
    assert flat.computed == own + (0 if method == "prefix" else 5)
    assert flat.attention.tokens == own + 5
    assert [int(flat.positions_1t[0, places[0]]) for places in flat.places] == [5] * len(awkward)


@pytest.mark.parametrize("method", ["prompt", "prefix"])
@pytest.mark.parametrize("share", [True, False])
def test_virtual_tokens_without_sharing_and_in_several_micro_batches(
    method: str, share: bool, prompted: Any, engine_of: Any, assert_exact: Any, awkward: Rows
) -> None:
    assert_exact(engine_of(prompted("llama", method, tokens=9), share=share, micro_batch=3), awkward)


@pytest.mark.parametrize(
    ("method", "options", "arguments", "why"),
    [
        ("prompt", {"configuration": {"attention_dropout": 0.1}}, {}, "with dropout every row draws its own"),
        ("p_tuning", {"encoder": "lstm", "dropout": 0.1}, {}, "with dropout every row draws its own"),
        ("prefix", {}, {"memory": "low"}, "a prefix gets lost when layers are recomputed"),
    ],
)
def test_virtual_tokens_that_rows_cannot_share(
    method: str, options: Any, arguments: Any, why: str, prompted: Any, engine_of: Any
) -> None:
    with pytest.raises(NotImplementedError, match=why):
        engine_of(prompted("llama", method, **options), **arguments)


def test_a_row_without_room_behind_the_virtual_tokens(prompted: Any, engine_of: Any, row: Any) -> None:
    engine = engine_of(prompted("gpt2", "prompt", tokens=100))
    with pytest.raises(ModelError, match="no room in 128 positions"):
        engine.batches([row(range(3, 40), [5], 0)])
