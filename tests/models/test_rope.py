"""Rotary positions stretched: what the network computes, what is saved with it, and which bases are refused."""

import json
import shutil

import pytest
import torch

from luthier.config import ModelConfig
from luthier.errors import ModelError
from luthier.models.files import resolve
from luthier.models.loading import load_base
from luthier.models.rope import longest_positions


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


def load(folder, head="causal_lm", **scaling):
    asked = {"rope_scaling": scaling} if scaling else {}
    config = ModelConfig(base=str(folder), dtype="float32", device="cpu", **asked)
    return load_base(config, resolve(str(folder)), head=head, labels=["a", "b"])


IDS = torch.arange(3, 100)[None]


def test_linear_is_the_same_as_positions_nearer_together(tiny_llama):
    plain, stretched = load(tiny_llama).network, load(tiny_llama, type="linear", factor=4).network
    frequencies = plain.model.rotary_emb.inv_freq
    torch.testing.assert_close(stretched.model.rotary_emb.inv_freq, frequencies / 4)
    assert stretched.config.rope_parameters["factor"] == 4
    assert longest_positions(plain) == 512
    assert longest_positions(stretched) == 2048
    assert not torch.allclose(plain(IDS).logits, stretched(IDS).logits)


def test_yarn_stretches_slow_frequencies_and_keeps_fast_ones(tiny_llama):
    plain, stretched = load(tiny_llama).network, load(tiny_llama, type="yarn", factor=4).network
    ratio = plain.model.rotary_emb.inv_freq / stretched.model.rotary_emb.inv_freq
    assert float(ratio[0]) == pytest.approx(1)
    assert float(ratio[-1]) == pytest.approx(4)
    assert stretched.config.rope_parameters["original_max_position_embeddings"] == 512
    assert longest_positions(stretched) == 2048


def test_dynamic_changes_nothing_within_the_bases_length(tiny_llama):
    plain, stretched = load(tiny_llama).network, load(tiny_llama, type="dynamic", factor=2).network
    assert torch.equal(plain(IDS).logits, stretched(IDS).logits)
    longer = torch.arange(600)[None] % 290 + 3
    assert not torch.allclose(plain(longer).logits, stretched(longer).logits)
    assert longest_positions(stretched) == 1024


def test_a_saved_network_needs_no_option(tiny_llama, tmp_path):
    stretched = load(tiny_llama, type="yarn", factor=4)
    stretched.network.save_pretrained(tmp_path / "merged")
    stretched.tokenizer.save_pretrained(tmp_path / "merged")
    assert torch.equal(load(tmp_path / "merged").network(IDS).logits, stretched.network(IDS).logits)
    with pytest.raises(ModelError, match=r"stretches its positions already \(yarn\)"):
        load(tmp_path / "merged", type="linear", factor=2)


def test_only_layers_that_see_everything_are_stretched(tiny_llama, tmp_path):
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    config = Gemma3TextConfig(
        vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, head_dim=8,
        num_key_value_heads=2, max_position_embeddings=512, layer_types=["sliding_attention", "full_attention"],
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    folder = tmp_path / "gemma"
    Gemma3ForCausalLM(config).save_pretrained(folder)
    for file in tiny_llama.glob("*token*"):
        shutil.copy(file, folder)
    plain, stretched = load(folder).network, load(folder, type="linear", factor=4).network
    found = stretched.config.rope_parameters
    assert found["full_attention"]["rope_type"] == "linear"
    assert found["sliding_attention"] == plain.config.rope_parameters["sliding_attention"]
    assert longest_positions(stretched) == 2048
    assert not torch.allclose(plain(IDS).logits, stretched(IDS).logits)


@pytest.mark.parametrize("base", ["tiny_bert", "tiny_t5"])
def test_bases_without_rotary_positions_are_refused(base, request):
    head = {"tiny_bert": "sequence_classification", "tiny_t5": "seq2seq_lm"}[base]
    with pytest.raises(ModelError, match="has no rotary positions that could be stretched") as error:
        load(request.getfixturevalue(base), head, type="linear", factor=2)
    assert error.value.where == "model.rope_scaling"


def test_rotary_positions_that_are_not_used_are_none(tiny_llama, tmp_path):
    from transformers import FalconConfig, FalconForCausalLM

    config = FalconConfig(vocab_size=300, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, alibi=True)
    FalconForCausalLM(config).save_pretrained(tmp_path / "falcon")
    for file in tiny_llama.glob("*token*"):
        shutil.copy(file, tmp_path / "falcon")
    with pytest.raises(ModelError, match="has no rotary positions"):
        load(tmp_path / "falcon", type="linear", factor=2)


@pytest.mark.integration
def test_a_run_remembers_how_its_base_was_stretched(own_cache, tmp_path, write_config, tiny_llama, labelled_file):
    from luthier import pipeline

    scaling = {"type": "yarn", "factor": 2.0}
    model = {"rope_scaling": scaling, "device": "cpu", "dtype": "float32", "base": str(tiny_llama)}
    training = {"max_steps": 1, "checkpoint": {"every": None}}
    evaluation = {"every": None, "samples": 0, "few_shot": 0, "baselines": False}
    run = pipeline.train(
        write_config(
            tmp_path / "run.yaml", tiny_llama, labelled_file, model=model, training=training, evaluation=evaluation
        )
    )
    assert json.loads((run.adapter / "luthier.json").read_text())["rope_scaling"] == scaling
    assert pipeline.speaker(run).base.network.config.rope_parameters["rope_type"] == "yarn"
