"""Quantised bases: what is quantised, that products are plain, and that nothing else changes a number."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from luthier.config import ModelConfig
from luthier.errors import ModelError
from luthier.methods import count_parameters, frozen_bytes
from luthier.methods.full import Full, FullOptions
from luthier.methods.lora import Lora, LoraOptions
from luthier.models.base import BaseModel, Head
from luthier.models.files import resolve
from luthier.models.loading import load_base
from luthier.models.quantisation import QUANTISED, dequantised, is_quantised, weight_of

pytest.importorskip("bitsandbytes", reason="quantised bases need bitsandbytes: pip install luthier[quantise]")

IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16]])
KINDS = ["nf4", "int8"]
STEPS = {"nf4": 0.16, "int8": 0.006}
"""Half the widest step between two values of each kind, as a share of the largest value, with some room."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


def load(folder: Path, quantise: str, dtype: str = "float32", head: Head = "causal_lm") -> BaseModel:
    torch.manual_seed(0)
    config = ModelConfig.model_validate({"base": str(folder), "dtype": dtype, "device": "cpu", "quantise": quantise})
    return load_base(config, resolve(str(folder)), head=head, labels=["no", "yes"])


def quantised_layers(network: Any) -> dict[str, Any]:
    return {name: module for name, module in network.named_modules() if type(module).__name__ in QUANTISED}


def logits(network: Any, ids: torch.Tensor = IDS) -> torch.Tensor:
    network.eval()
    decoder = {"decoder_input_ids": ids[:, :3]} if network.config.is_encoder_decoder else {}
    with torch.no_grad():
        found: torch.Tensor = network(input_ids=ids, **decoder).logits
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_layers_are_quantised_and_nothing_else(kind: str, wide_llama: Path) -> None:
    base = load(wide_llama, kind, "bfloat16")
    assert base.quantise == kind
    plain = load(wide_llama, "none", "bfloat16").network
    inside = {
        name for name, module in plain.named_modules() if isinstance(module, torch.nn.Linear) and ".layers." in name
    }
    assert set(quantised_layers(base.network)) == inside
    others = {p.dtype for p in base.network.parameters() if p.is_floating_point()}
    assert others == {torch.bfloat16}
    assert base.network.lm_head.weight is base.network.model.embed_tokens.weight
    assert not any(parameter.requires_grad for parameter in base.network.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_are_near_those_of_the_base(kind: str, wide_llama: Path) -> None:
    plain = load(wide_llama, "none").network
    for name, module in quantised_layers(load(wide_llama, kind).network).items():
        expected, found = plain.get_submodule(name).weight, weight_of(module, torch.float32)
        assert (found - expected).abs().max() <= STEPS[kind] * expected.abs().max()
        assert not torch.equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_type_does_not_change_what_is_quantised(kind: str, wide_llama: Path) -> None:
    one, other = (quantised_layers(load(wide_llama, kind, dtype).network) for dtype in ("float32", "bfloat16"))
    for name, module in one.items():
        assert torch.equal(weight_of(module, torch.float32), weight_of(other[name], torch.float32))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_training_and_evaluation_compute_the_same(kind: str, dtype: str, wide_llama: Path) -> None:
    network = load(wide_llama, kind, dtype).network
    evaluated = logits(network)
    with torch.no_grad():
        trained = network.train()(input_ids=IDS).logits
    assert torch.equal(evaluated, trained)
    with torch.enable_grad():
        assert torch.equal(network(input_ids=IDS).logits, trained)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_does_not_depend_on_the_rows_beside_it(kind: str, wide_llama: Path) -> None:
    network = load(wide_llama, kind).network
    torch.testing.assert_close(logits(network)[:1], logits(network, IDS[:1]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_dequantised_weights(kind: str, wide_llama: Path) -> None:
    base = load(wide_llama, kind)
    embedded = base.network.get_input_embeddings()(IDS).requires_grad_()
    base.network(inputs_embeds=embedded).logits.square().mean().backward()
    found, embedded.grad = embedded.grad, None
    dequantised(base).network(inputs_embeds=embedded).logits.square().mean().backward()
    torch.testing.assert_close(found, embedded.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["llama", "bert", "t5"])
def test_dequantised_it_answers_the_same(
    kind: str, family: str, wide_llama: Path, wide_bert: Path, wide_t5: Path, tmp_path: Path
) -> None:
    folder = {"llama": wide_llama, "bert": wide_bert, "t5": wide_t5}[family]
    heads: dict[str, Head] = {"llama": "causal_lm", "bert": "sequence_classification", "t5": "seq2seq_lm"}
    base = load(folder, kind, head=heads[family])
    answers = logits(base.network)
    plain = dequantised(base)
    assert plain.quantise == "none"
    assert not is_quantised(plain.network)
    torch.testing.assert_close(logits(plain.network), answers, atol=2e-6 * float(answers.abs().max()) + 1e-6, rtol=0)
    plain.network.save_pretrained(tmp_path / "plain")  # type: ignore[operator]
    again = type(plain.network).from_pretrained(tmp_path / "plain")  # type: ignore[attr-defined]
    assert not is_quantised(again)
    torch.testing.assert_close(logits(again), logits(plain.network))


def test_transposed_weights_of_gpt2(wide_llama: Path, tmp_path: Path) -> None:
    config = AutoConfig.for_model("gpt2", vocab_size=300, n_embd=64, n_layer=2, n_head=4, initializer_range=0.2)
    folder = Path(shutil.copytree(wide_llama, tmp_path / "gpt2"))
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    base = load(folder, "nf4")
    answers = logits(base.network)
    plain = dequantised(base).network
    torch.testing.assert_close(logits(plain), answers, atol=1e-5, rtol=0)
    assert type(plain.transformer.h[0].mlp.c_fc).__name__ == "Conv1D"  # type: ignore[union-attr, index]


def test_memory_and_numbers_of_parameters(wide_llama: Path) -> None:
    plain, four, eight = (load(wide_llama, kind).network for kind in ("none", "nf4", "int8"))
    assert count_parameters(four) == count_parameters(plain) == count_parameters(eight)
    weights = sum(module.weight.numel() for name, module in plain.named_modules() if name.endswith("_proj"))
    rest = 4 * (count_parameters(plain)[1] - weights)
    assert frozen_bytes(plain) == rest + 4 * weights
    assert rest + weights < frozen_bytes(eight) < rest + 1.2 * weights
    assert rest + weights / 2 < frozen_bytes(four) < rest + 0.7 * weights


def test_odd_widths_stay_as_they_are(tiny_llama: Path) -> None:
    with pytest.raises(ModelError, match="multiple of 64 inputs"):
        load(tiny_llama, "nf4")
    assert len(quantised_layers(load(tiny_llama, "int8").network)) == 14


@pytest.mark.parametrize("inputs", [64, 128, 192])
def test_four_bits_of_the_chosen_widths_are_as_exact_as_they_should_be(inputs: int) -> None:
    import bitsandbytes

    torch.manual_seed(0)
    weight = torch.randn(48, inputs)
    found = bitsandbytes.functional.dequantize_4bit(*bitsandbytes.functional.quantize_4bit(weight, quant_type="nf4"))
    assert (found - weight).norm() < 0.1 * weight.norm()


def test_full_tuning_is_refused(wide_llama: Path) -> None:
    with pytest.raises(ModelError, match=r"full tuning changes the weights themselves.* nf4"):
        Full(FullOptions()).apply(load(wide_llama, "nf4"), peft_task="CAUSAL_LM", total_steps=1)


def test_merging_is_refused_until_it_is_dequantised(wide_llama: Path, tmp_path: Path) -> None:
    base, method = load(wide_llama, "nf4"), Lora(LoraOptions(init="random"))
    network = method.apply(base, peft_task="CAUSAL_LM", total_steps=1)
    tuned = logits(network)
    with pytest.raises(ModelError, match="luthier export does so"):
        method.merge(network)
    method.save(network, tmp_path, base)
    opened = method.open(dequantised(load(wide_llama, "nf4")), tmp_path)
    torch.testing.assert_close(logits(method.merge(opened)), tuned, atol=1e-5, rtol=0)


def test_without_the_package_the_message_says_what_to_install(
    wide_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luthier.models.quantisation.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"needs bitsandbytes.*\n.*luthier\[quantise\]"):
        load(wide_llama, "nf4")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_said(kind: str, wide_llama: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logits(load(wide_llama, kind, "bfloat16").network)
    assert capfd.readouterr() == ("", "")
