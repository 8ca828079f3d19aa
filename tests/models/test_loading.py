from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM

from luthier.config import ModelConfig
from luthier.errors import ModelError
from luthier.models.base import BaseModel, Head
from luthier.models.files import resolve
from luthier.models.loading import load_base, load_tokenizer

LABELS = ["negative", "neutral", "positive"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def llama(tiny_llama: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_llama, tmp_path / "llama"))


@pytest.fixture
def bert(tiny_bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bert, tmp_path / "bert"))


def load(folder: Path, head: Head = "causal_lm", **options: Any) -> BaseModel:
    config = ModelConfig(base=str(folder), **({"dtype": "float32", "device": "cpu"} | options))
    labels = LABELS if head == "sequence_classification" else ()
    return load_base(config, resolve(str(folder), allow_pickle=config.allow_pickle), head=head, labels=labels)


def edit(file: Path, **values: Any) -> None:
    content = json.loads(file.read_text()) | values
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_a_language_model(llama: Path, capfd: pytest.CaptureFixture[str]) -> None:
    base = load(llama)
    assert capfd.readouterr() == ("", "")
    assert not base.network.training
    assert not any(parameter.requires_grad for parameter in base.network.parameters())
    assert base.architecture.family == "llama"
    assert base.network.config._attn_implementation == "sdpa"
    ids = torch.tensor([[5, 6, 7]])
    plain = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32)
    assert torch.equal(base.network(ids).logits, plain(ids).logits)


def test_a_named_type(llama: Path) -> None:
    base = load(llama, dtype="bfloat16")
    assert {parameter.dtype for parameter in base.network.parameters()} == {torch.bfloat16}
    assert base.dtype is torch.bfloat16


def test_loading_does_not_depend_on_the_random_state(llama: Path) -> None:
    torch.manual_seed(1)
    one = load(llama).network.state_dict()
    torch.manual_seed(2)
    two = load(llama).network.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_classifier(bert: Path) -> None:
    torch.manual_seed(1)
    base = load(bert, "sequence_classification")
    assert base.network.config.id2label == dict(enumerate(LABELS))
    assert base.network.config.num_labels == 3
    assert base.architecture.head == ("classifier",)
    torch.manual_seed(1)
    again = load(bert, "sequence_classification")
    assert torch.equal(base.network.classifier.weight, again.network.classifier.weight)
    encoder = AutoModel.from_pretrained(bert)
    assert torch.equal(base.network.bert.pooler.dense.weight, encoder.pooler.dense.weight)


def test_a_decoder_with_a_classification_head_knows_its_padding(llama: Path) -> None:
    edit(llama / "config.json", pad_token_id=None)
    base = load(llama, "sequence_classification")
    padded = base.tokenizer(["one", "two and more"], padding=True, return_tensors="pt")
    alone = base.tokenizer(["one"], return_tensors="pt")
    torch.testing.assert_close(base.network(**padded).logits[:1], base.network(**alone).logits)


def test_another_classifiers_head_is_replaced(bert: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    five = AutoModelForSequenceClassification.from_pretrained(bert, num_labels=5)
    five.save_pretrained(bert)
    base = load(bert, "sequence_classification")
    assert base.network.classifier.out_features == 3


def test_a_pooler_that_is_not_in_the_files_is_part_of_the_head(bert: Path) -> None:
    AutoModel.from_pretrained(bert, add_pooling_layer=False).save_pretrained(bert)
    assert set(load(bert, "sequence_classification").architecture.head) == {"classifier", "bert.pooler.dense"}


def test_the_end_token_pads_when_there_is_no_other(llama: Path, caplog: pytest.LogCaptureFixture) -> None:
    edit(llama / "tokenizer_config.json", pad_token=None)
    with caplog.at_level(logging.INFO, logger="luthier"):
        tokenizer = load_tokenizer(resolve(str(llama)))
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 2
    assert "padding with the end token <|im_end|>" in caplog.text


def test_a_tokenizer_without_pad_and_end_token(llama: Path) -> None:
    edit(llama / "tokenizer_config.json", pad_token=None, eos_token=None)
    with pytest.raises(ModelError, match="neither a pad nor an end token"):
        load_tokenizer(resolve(str(llama)))


def test_an_encoder_is_no_language_model(bert: Path) -> None:
    with pytest.raises(ModelError, match="task: sequence_classification"):
        load(bert)


def test_an_unknown_architecture(llama: Path) -> None:
    edit(llama / "config.json", model_type="nosuchnet", architectures=None)
    with pytest.raises(ModelError, match="does not know the architecture") as error:
        load(llama)
    assert error.value.exit_code == 4


def test_remote_code_does_not_run_by_itself(llama: Path) -> None:
    (llama / "modeling_own.py").write_text("raise RuntimeError('ran')")
    own = {"AutoConfig": "modeling_own.Config", "AutoModelForCausalLM": "modeling_own.Model"}
    edit(llama / "config.json", model_type="own", auto_map=own)
    with pytest.raises(ModelError, match="trust_remote_code: true"):
        load(llama)


def test_no_tokenizer(llama: Path) -> None:
    for file in llama.glob("token*"):
        file.unlink()
    with pytest.raises(ModelError, match=r"the tokenizer of .* cannot be loaded"):
        load(llama)


def test_weights_that_lack_a_layer(llama: Path) -> None:
    edit(llama / "config.json", num_hidden_layers=3)
    with pytest.raises(ModelError, match=r"has no weights for 'model\.layers\.2"):
        load(llama)


def test_weights_of_another_size(llama: Path) -> None:
    edit(llama / "config.json", intermediate_size=64)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(llama)


def test_a_tokenizer_larger_than_the_network(llama: Path) -> None:
    tokenizer = load_tokenizer(resolve(str(llama)))
    tokenizer.add_tokens(["<one>", "<two>"])
    tokenizer.save_pretrained(llama)
    with pytest.raises(ModelError, match=f"knows {len(tokenizer)} tokens"):
        load(llama)


def test_pickled_weights_when_allowed(llama: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(llama)
    torch.save(network.state_dict(), llama / "pytorch_model.bin")
    (llama / "model.safetensors").unlink()
    base = load(llama, allow_pickle=True)
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(base.network(ids).logits, network(ids).logits)


def test_an_error_names_what_the_user_wrote(llama: Path) -> None:
    files = replace(resolve(str(llama)), source="package:some/model")
    (llama / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="package:some/model"):
        load_tokenizer(files)


@pytest.mark.real
def test_the_real_minilm(minilm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    base = load_base(
        ModelConfig(base=minilm, dtype="float32"), resolve(minilm), head="sequence_classification", labels=LABELS
    )
    assert base.architecture.head == ("classifier",)
    assert base.network(**base.tokenizer("profit rose", return_tensors="pt")).logits.shape == (1, 3)


@pytest.mark.real
def test_the_real_smollm2_answers(smollm2: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUTHIER_CACHE")
    base = load_base(ModelConfig(base=smollm2, dtype="float32"), resolve(smollm2), head="causal_lm")
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = base.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = base.network.generate(**prompt, max_new_tokens=10, do_sample=False)
    assert "Paris" in base.tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :])
