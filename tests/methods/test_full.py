from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from luthier.config import ModelConfig
from luthier.errors import ModelError
from luthier.methods import count_parameters
from luthier.methods.full import Full, FullOptions
from luthier.models.base import BaseModel
from luthier.models.files import resolve
from luthier.models.loading import load_base


@pytest.fixture
def base(tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BaseModel:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    config = ModelConfig(base=str(tiny_llama), dtype="bfloat16", device="cpu")
    return load_base(config, resolve(str(tiny_llama)), head="causal_lm", compute=Full.dtype)


def apply(base: BaseModel, **freeze: Any) -> Any:
    return Full(FullOptions.model_validate({"freeze": freeze})).apply(base, peft_task="CAUSAL_LM", total_steps=1)


def trained(network: Any) -> set[str]:
    return {name for name, parameter in network.named_parameters() if parameter.requires_grad}


def test_everything_is_trained_in_float32(base: BaseModel) -> None:
    network = apply(base)
    count, total = count_parameters(network)
    assert count == total
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("layers", ["0", [0], 0])
def test_frozen_layers(base: BaseModel, layers: Any) -> None:
    names = trained(apply(base, layers=layers))
    assert not any(".layers.0." in name for name in names)
    assert any(".layers.1." in name for name in names)
    assert "model.embed_tokens.weight" in names


def test_frozen_embeddings(base: BaseModel) -> None:
    network = apply(base, embeddings=True)
    assert "model.embed_tokens.weight" not in trained(network)
    assert not network.lm_head.weight.requires_grad  # it is the same table


def test_frozen_tables_of_an_encoder(tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    config = ModelConfig(base=str(tiny_bert), dtype="float32")
    base = load_base(config, resolve(str(tiny_bert)), head="sequence_classification", labels=["a", "b"])
    names = trained(apply(base, embeddings=True, layers="0-1"))
    assert not any("_embeddings." in name or ".layer." in name for name in names)
    assert {"bert.pooler.dense.weight", "classifier.weight"} <= names


def test_a_layer_that_is_not_there(base: BaseModel) -> None:
    with pytest.raises(ModelError, match="there is no layer 2"):
        apply(base, layers="0-5")


def test_unknown_parts_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        FullOptions.model_validate({"freeze": {"head": True}})


def test_the_tokenizer_is_saved_too(base: BaseModel, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    method = Full(FullOptions())
    method.save(apply(base), tmp_path / "tuned", base)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tuned")
    assert tokenizer.chat_template == base.tokenizer.chat_template
    assert resolve(str(tmp_path / "tuned")).folder == tmp_path / "tuned"  # a base for the next run


def test_a_model_of_another_shape(base: BaseModel, tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match="does not load on this base"):
        Full(FullOptions()).open(base, tiny_bert)
