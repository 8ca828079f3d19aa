from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM
from transformers import AutoModelForSequenceClassification as Classifier

from luthier.errors import ModelError
from luthier.models import architectures
from luthier.models.architectures import TABLE, Architecture, describe, resolve_targets

USUAL = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = USUAL | {"num_key_value_heads": 2}
GPT2 = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4}
T5 = {"vocab_size": 64, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
BART = {
    "vocab_size": 64,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "pad_token_id": 0,
    "decoder_start_token_id": 1,
}
SIZES: dict[str, dict[str, Any]] = {
    **dict.fromkeys(["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "smollm3", "olmo", "olmo2"], GROUPED),
    **dict.fromkeys(
        ["olmo3", "granite", "stablelm", "cohere", "mixtral", "qwen3_moe", "gpt_oss", "glm", "glm4"], GROUPED
    ),
    **dict.fromkeys(["phi", "phi3", "opt", "gpt_neox", "falcon"], USUAL),
    **dict.fromkeys(["bert", "roberta", "xlm-roberta", "electra", "camembert", "deberta-v2", "modernbert"], USUAL),
    **dict.fromkeys(["gpt2", "gpt_bigcode", "gptj"], GPT2 | {"rotary_dim": 4}),
    **dict.fromkeys(["t5", "mt5", "umt5", "longt5"], T5),
    **dict.fromkeys(["bart", "mbart", "pegasus", "marian", "m2m_100"], BART),
    "gemma3_text": GROUPED | {"head_dim": 8},
    "bloom": {"vocab_size": 64, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "mpt": {"vocab_size": 64, "d_model": 32, "n_layers": 2, "n_heads": 4},
    "distilbert": {"vocab_size": 64, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48},
}
ONLY_WITH_CODE_OF_THEIR_OWN = {"chatglm", "internlm", "internlm2", "internlm3", "baichuan"}
ENCODERS = {"bert", "roberta", "xlm-roberta", "electra", "camembert", "deberta-v2", "modernbert", "distilbert"}


def build(family: str) -> Any:
    config = AutoConfig.for_model(family, **SIZES[family])
    loader = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    return (AutoModelForMaskedLM if family in ENCODERS else loader).from_config(config)


def linear_in_layers(network: nn.Module, architecture: Architecture) -> set[str]:
    return {
        name
        for name, module in network.named_modules()
        if (isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D")
        and name.startswith(tuple(f"{layer}." for layer in architecture.layers))
    }


def matched(network: nn.Module, targets: list[str]) -> set[str]:
    return {
        name
        for name, _ in network.named_modules()
        if any(name == target or name.endswith(f".{target}") for target in targets)
    }


def test_every_family_of_the_table_is_tried() -> None:
    assert set(TABLE) - set(SIZES) - ONLY_WITH_CODE_OF_THEIR_OWN == {"gemma3"}  # images too; its text part is tried


@pytest.mark.parametrize("family", sorted(SIZES))
def test_names_of_a_family(family: str) -> None:
    network = build(family)
    architecture = describe(network, network.config)
    attention = matched(network, resolve_targets(network, architecture, "attention"))  # type: ignore[arg-type]
    mlp = matched(network, resolve_targets(network, architecture, "mlp")) if architecture.mlp else set()  # type: ignore[arg-type]
    assert attention
    assert not attention & mlp
    assert attention | mlp == linear_in_layers(network, architecture)
    assert {name for name in architecture.attention if not matched(network, [name])} == set()
    assert len(architecture.layers) == (2 if network.config.is_encoder_decoder else 1)
    assert isinstance(network.get_submodule(architecture.layers[0]), nn.ModuleList)
    assert architecture.embeddings
    assert architecture.head


@pytest.mark.parametrize("family", sorted(SIZES))
def test_derived_names_agree_with_the_table(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(family)
    known = describe(network, network.config)
    monkeypatch.setattr(architectures, "TABLE", {})
    derived = describe(network, network.config)
    groups = ("attention", "mlp") if known.mlp else ("attention",)
    for group in groups:
        by_table, by_names = (
            matched(network, resolve_targets(network, facts, group))  # type: ignore[arg-type]
            for facts in (known, derived)
        )
        assert by_names == by_table


def test_all_linear_leaves_the_head_out() -> None:
    torch.manual_seed(0)
    network = Classifier.from_config(AutoConfig.for_model("bert", **USUAL, num_labels=3))
    architecture = describe(network, network.config)
    assert architecture.head == ("classifier",)
    targets = resolve_targets(network, architecture, "all-linear")
    assert "classifier" not in targets
    found = matched(network, targets)  # type: ignore[arg-type]
    assert found == linear_in_layers(network, architecture) | {"bert.pooler.dense"}


def test_new_modules_count_as_head() -> None:
    network = Classifier.from_config(AutoConfig.for_model("bert", **USUAL, num_labels=3))
    architecture = describe(network, network.config, ["bert.pooler.dense", "classifier"])
    assert architecture.head == ("classifier", "bert.pooler.dense")
    assert "bert.pooler.dense" not in matched(network, resolve_targets(network, architecture, "all-linear"))  # type: ignore[arg-type]


def test_a_distilbert_classifier_has_two_head_modules() -> None:
    network = Classifier.from_config(AutoConfig.for_model("distilbert", **SIZES["distilbert"], num_labels=3))
    assert set(describe(network, network.config).head) == {"pre_classifier", "classifier"}


class TestTargets:
    @pytest.fixture(scope="class")
    def llama(self) -> Any:
        return build("llama")

    def test_groups_are_short_lists(self, llama: Any) -> None:
        facts = describe(llama, llama.config)
        assert resolve_targets(llama, facts, "attention") == ["q_proj", "k_proj", "v_proj", "o_proj"]
        assert resolve_targets(llama, facts, "mlp") == ["gate_proj", "up_proj", "down_proj"]
        assert len(resolve_targets(llama, facts, "all-linear")) == 7

    def test_names_and_expressions_stay_as_they_are(self, llama: Any) -> None:
        facts = describe(llama, llama.config)
        assert resolve_targets(llama, facts, ["q_proj", "v_proj"]) == ["q_proj", "v_proj"]
        assert resolve_targets(llama, facts, r".*layers\.0\..*q_proj") == r".*layers\.0\..*q_proj"

    @pytest.mark.parametrize(
        ("targets", "message"),
        [
            (["q_prj"], "did you mean 'q_proj'"),
            (["q_proj", "nothing_like_it"], "no module matches 'nothing_like_it'"),
            ("q_proj", r"write a list: \[q_proj\]"),
            (".*qq_proj", "no module matches"),
            ("(", "not a regular expression"),
        ],
    )
    def test_no_match_says_what_there_is(self, llama: Any, targets: str | list[str], message: str) -> None:
        with pytest.raises(ModelError, match=message):
            resolve_targets(llama, describe(llama, llama.config), targets)

    def test_experts_are_no_linear_modules(self) -> None:
        network = build("mixtral")
        with pytest.raises(ModelError, match=re.escape("no linear modules that are mlp")):
            resolve_targets(network, describe(network, network.config), "mlp")
