"""LoRA on tiny random models of families that store or compute their layers in other ways than Llama."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.config import ModelConfig
from luthier.methods.lora import Lora, LoraOptions
from luthier.models.base import BaseModel
from luthier.models.files import resolve
from luthier.models.loading import load_base

SMALL = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_inner": 48, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "bloom": {"n_layer": 2, "n_head": 4},
    "gpt_neox": {},
    "glm": {"num_key_value_heads": 2, "head_dim": 8},
    "glm4": {"num_key_value_heads": 2, "head_dim": 8},
}
IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16]])


@pytest.fixture(params=list(FAMILIES))
def base(request: pytest.FixtureRequest, tiny_llama: Path, tmp_path: Path) -> BaseModel:
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    folder = tmp_path / request.param
    config = AutoConfig.for_model(request.param, **(SMALL | FAMILIES[request.param]))
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for file in tiny_llama.glob("*token*"):
        shutil.copy(file, folder)
    return opened(folder)


def opened(folder: Path) -> BaseModel:
    config = ModelConfig(base=str(folder), dtype="float32", device="cpu")
    return load_base(config, resolve(str(folder)), head="causal_lm")


def logits(network: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = network.eval()(input_ids=IDS).logits
    return found


def test_it_learns_saves_opens_and_merges(base: BaseModel, tmp_path: Path) -> None:
    method = Lora(LoraOptions(rank=4))
    untuned = logits(base.network)
    network = method.apply(base, peft_task="CAUSAL_LM", total_steps=8)
    assert torch.allclose(logits(network), untuned, atol=1e-6)
    optimiser = torch.optim.AdamW(method.parameter_groups(network, 2e-2, 0.0))
    losses = []
    for _ in range(8):
        output = network.train()(input_ids=IDS).logits[:, :-1].flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(output, IDS[:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    tuned = logits(network)
    method.save(network, tmp_path / "adapter", base)
    again = method.open(opened(base.files.folder), tmp_path / "adapter")
    assert torch.allclose(logits(again), tuned, atol=1e-6)
    assert not torch.allclose(tuned, untuned, atol=1e-2)
    merged = method.merge(again)
    assert not any("lora" in name for name, _ in merged.named_parameters())
    assert torch.allclose(logits(merged), tuned, atol=1e-4)
