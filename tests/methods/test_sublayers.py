"""Methods that hook into parts of a layer, on tiny random networks of many families."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

from luthier import registry
from luthier.errors import ModelError
from luthier.methods._sublayers import Sublayers
from luthier.methods.layer_norm import norms
from luthier.models.architectures import describe
from luthier.models.base import BaseModel

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
DISTILBERT = {"vocab_size": 64, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
FAMILIES: dict[str, tuple[dict[str, Any], set[str], set[str]]] = {
    "llama": (GROUPED, {"self_attn.o_proj"}, {"mlp.down_proj"}),
    "qwen3": (GROUPED | {"head_dim": 8}, {"self_attn.o_proj"}, {"mlp.down_proj"}),
    "gemma2": (GROUPED | {"head_dim": 8}, {"self_attn.o_proj"}, {"mlp.down_proj"}),
    "glm": (GROUPED | {"head_dim": 8}, {"self_attn.o_proj"}, {"mlp.down_proj"}),
    "phi": (USUAL, {"self_attn.dense"}, {"mlp.fc2"}),
    "phi3": (GROUPED, {"self_attn.o_proj"}, {"mlp.down_proj"}),
    "opt": (USUAL | {"ffn_dim": 48, "word_embed_proj_dim": 32}, {"self_attn.out_proj"}, {"fc2"}),
    "gpt2": (GPT2, {"attn.c_proj"}, {"mlp.c_proj"}),
    "gpt_neox": (USUAL, {"attention.dense"}, {"mlp.dense_4h_to_h"}),
    "bloom": (GPT2 | {"hidden_size": 32}, {"self_attention.dense"}, {"mlp.dense_4h_to_h"}),
    "falcon": (USUAL, {"self_attention.dense"}, {"mlp.dense_4h_to_h"}),
    "bert": (USUAL, {"attention.output.dense"}, {"output.dense"}),
    "roberta": (USUAL, {"attention.output.dense"}, {"output.dense"}),
    "deberta-v2": (USUAL, {"attention.output.dense"}, {"output.dense"}),
    "distilbert": (DISTILBERT, {"attention.out_lin"}, {"ffn.lin2"}),
    "modernbert": (USUAL, {"attn.Wo"}, {"mlp.Wo"}),
    "albert": (USUAL | {"embedding_size": 16}, {"attention.dense"}, {"ffn_output"}),
    "t5": (T5, {"SelfAttention.o", "EncDecAttention.o"}, {"DenseReluDense.wo"}),
    "mt5": (T5 | {"feed_forward_proj": "gated-gelu"}, {"SelfAttention.o", "EncDecAttention.o"}, {"DenseReluDense.wo"}),
    "bart": (BART, {"self_attn.out_proj", "encoder_attn.out_proj"}, {"fc2"}),
}
"""Configuration, and the ends of the paths of what attention and MLP give out."""

CLASSIFIED = {"bert", "roberta", "deberta-v2", "distilbert", "modernbert", "albert"}
METHODS = ("bottleneck", "ia3", "layer_norm", "bitfit")


def build(family: str) -> tuple[BaseModel, str]:
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **FAMILIES[family][0])
    loader: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    loader = AutoModelForSequenceClassification if family in CLASSIFIED else loader
    network = loader.from_config(config).requires_grad_(False).eval()
    files: Any = None
    architecture = describe(network, config)
    base = BaseModel(network, None, files, architecture, torch.float32, "", torch.device("cpu"))
    task = "SEQ_CLS" if family in CLASSIFIED else "SEQ_2_SEQ_LM" if config.is_encoder_decoder else "CAUSAL_LM"
    return base, task


def ends(paths: list[str]) -> set[str]:
    """What is left of each path behind its layer's number."""
    parts = [path.split(".") for path in paths]
    last = [max(place for place, part in enumerate(path) if part.isdecimal()) for path in parts]
    return {".".join(path[place + 1 :]) for path, place in zip(parts, last, strict=True)}


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_of_a_family(family: str) -> None:
    base, _ = build(family)
    found, (_, attention, mlp) = Sublayers.of(base), FAMILIES[family]
    assert ends(found.attention_outputs) == attention
    assert ends(found.mlp_outputs) == mlp
    layers = sum(len(base.network.get_submodule(name)) for name in base.architecture.layers)  # type: ignore[arg-type]
    assert len(found.mlp_outputs) == layers


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("family", FAMILIES)
def test_everything_that_is_trained_has_a_say(family: str, name: str) -> None:
    base, task = build(family)
    biases = {path for path, _ in base.network.named_parameters() if path.endswith(".bias")}
    biases -= {path for path in biases if path.startswith(base.architecture.head)}
    method = registry.load("method", name)(registry.load("method", name).Options())
    if name == "bitfit" and not biases:
        with pytest.raises(ModelError, match="no biases"):
            method.apply(base, peft_task=task, total_steps=1)
        return
    network = method.apply(base, peft_task=task, total_steps=1)
    ids = torch.tensor([[5, 6, 7, 8]])
    decoder = {"decoder_input_ids": ids} if task == "SEQ_2_SEQ_LM" else {}
    network(input_ids=ids, **decoder).logits.square().sum().backward()
    silent = {path for path, p in network.named_parameters() if p.requires_grad and p.grad is None}
    assert not {path for path in silent if "pooler" not in path}, "no gradient reaches them"


def test_only_some_layers() -> None:
    base, _ = build("bert")
    found = Sublayers.of(base, [1])
    assert found.mlp_outputs == ["bert.encoder.layer.1.output.dense"]
    assert found.attention_outputs == ["bert.encoder.layer.1.attention.output.dense"]


def test_norms_go_by_short_names_where_these_name_nothing_else() -> None:
    assert norms(build("bert")[0]) == ["LayerNorm"]
    assert norms(build("llama")[0]) == ["input_layernorm", "post_attention_layernorm", "norm"]
    assert norms(build("gpt2")[0]) == ["ln_1", "ln_2", "ln_f"]
