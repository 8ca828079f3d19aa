from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from luthier.config import ModelConfig
from luthier.errors import ModelError
from luthier.methods.lora import Lora, LoraOptions
from luthier.models.architectures import describe
from luthier.models.base import BaseModel, Head, ModelFiles
from luthier.models.files import resolve
from luthier.models.loading import load_base

IDS = torch.tensor([[5, 6, 7, 8], [11, 12, 13, 14]])


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


def load(folder: Path, dtype: str = "float32", head: Head = "causal_lm") -> BaseModel:
    torch.manual_seed(0)
    config = ModelConfig(base=str(folder), dtype=dtype, device="cpu")  # type: ignore[arg-type]
    return load_base(config, resolve(str(folder)), head=head, labels=["no", "yes"])


def applied(base: BaseModel, task: str = "CAUSAL_LM", **options: Any) -> tuple[Lora, Any]:
    method = Lora(LoraOptions(**options))
    return method, method.apply(base, peft_task=task, total_steps=1)


def adapted(network: nn.Module) -> set[str]:
    names = (name for name, parameter in network.named_parameters() if parameter.requires_grad and "lora_" in name)
    return {name.removeprefix("base_model.model.").partition(".lora_")[0] for name in names}


def train(network: nn.Module, ids: torch.Tensor = IDS) -> torch.Tensor:
    """Three steps; returns the logits after them."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=1e-2)
    for _ in range(3):
        network(input_ids=ids).logits.float().square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    return logits(network, ids)


def logits(network: nn.Module, ids: torch.Tensor = IDS) -> torch.Tensor:
    network.eval()
    with torch.no_grad():
        found: torch.Tensor = network(input_ids=ids).logits
    return found


@pytest.mark.parametrize(
    ("options", "scaling"), [({}, 2.0), ({"alpha": 8}, 0.5), ({"rslora": True}, 8.0), ({"rank": 4}, 2.0)]
)
def test_scaling(options: dict[str, Any], scaling: float, tiny_llama: Path) -> None:
    _, network = applied(load(tiny_llama), **options)
    module = network.get_submodule("base_model.model.model.layers.0.self_attn.q_proj")
    assert module.scaling["default"] == pytest.approx(scaling)
    assert module.r["default"] == options.get("rank", 16)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"targets": "attention"}, {"q_proj", "k_proj", "v_proj", "o_proj"}),
        ({"targets": "mlp"}, {"gate_proj", "up_proj", "down_proj"}),
        ({"targets": ["q_proj"]}, {"q_proj"}),
        ({"targets": r".*\.(q|v)_proj"}, {"q_proj", "v_proj"}),
        ({"targets": "attention", "exclude": ["k_proj"]}, {"q_proj", "v_proj", "o_proj"}),
    ],
)
def test_targets(options: dict[str, Any], expected: set[str], tiny_llama: Path) -> None:
    _, network = applied(load(tiny_llama), **options)
    assert {name.rpartition(".")[2] for name in adapted(network)} == expected
    assert {name.split(".")[2] for name in adapted(network)} == {"0", "1"}


@pytest.mark.parametrize("layers", ["1", 1, [1], "1-1"])
def test_layers(layers: Any, tiny_llama: Path) -> None:
    _, network = applied(load(tiny_llama), layers=layers)
    assert {name.split(".")[2] for name in adapted(network)} == {"1"}


def test_layers_of_an_encoder(tiny_bert: Path) -> None:
    _, network = applied(load(tiny_bert, head="sequence_classification"), "SEQ_CLS", layers="0", targets="mlp")
    assert adapted(network) == {"bert.encoder.layer.0.intermediate.dense", "bert.encoder.layer.0.output.dense"}


def test_a_layer_that_is_not_there(tiny_llama: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no layer 2\n  expected: 0 to 1"):
        applied(load(tiny_llama), layers="0-2")


def test_patterns_change_rank_and_alpha(tiny_llama: Path) -> None:
    patterns = {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {r"layers\.0\..*q_proj": 6}}
    _, network = applied(load(tiny_llama), **patterns)
    first, second = (
        network.get_submodule(f"base_model.model.model.layers.{layer}.self_attn.q_proj") for layer in (0, 1)
    )
    assert (first.r["default"], first.scaling["default"]) == (2, 3.0)
    assert (second.r["default"], second.scaling["default"]) == (2, 16.0)


@pytest.mark.parametrize("pattern", ["rank_pattern", "alpha_pattern"])
def test_a_pattern_that_fits_nothing_is_not_ignored(pattern: str, tiny_llama: Path) -> None:
    with pytest.raises(ModelError, match=f"{pattern} keys did not match any targeted module"):
        applied(load(tiny_llama), **{pattern: {"lm_head": 4}})


def test_excluding_everything(tiny_llama: Path) -> None:
    with pytest.raises(ModelError, match="Lora does not fit this llama network"):
        applied(load(tiny_llama), targets=["q_proj"], exclude=["q_proj"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": ".*q_proj", "layers": "0"}, "do not go together"),
        ({"init": "orthogonal", "rank": 3}, "even rank"),
        ({"layers": "3-1"}, "ends before it begins"),
        ({"layers": "first"}, "names no layers"),
        ({"rank": 0}, "greater than or equal to 1"),
        ({"ranks": 4}, "Extra inputs"),
    ],
)
def test_options_that_do_not_fit_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LoraOptions(**options)


def test_every_option_says_what_it_is() -> None:
    undescribed = {name for name, field in LoraOptions.model_fields.items() if not field.description}
    assert undescribed == {"name"}


VARIANTS: list[dict[str, Any]] = [
    {},
    {"dora": True},
    {"bias": "all"},
    {"bias": "lora_only"},
    {"init": "gaussian"},
    {"init": "orthogonal"},
    {"init": "random"},
    {"modules_to_save": ["embed_tokens"]},
    {"dropout": 0.1, "rslora": True},
]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_variants_train_save_and_open(options: dict[str, Any], dtype: str, tiny_llama: Path, tmp_path: Path) -> None:
    base = load(tiny_llama, dtype)
    method, network = applied(base, **options)
    assert {p.dtype for p in network.parameters() if p.requires_grad} == {torch.float32}
    assert base.network.model.norm.weight.dtype is base.dtype
    before = logits(network)
    tuned = train(network)
    assert not torch.equal(before, tuned)
    method.save(network, tmp_path / "adapter", base)
    opened = method.open(load(tiny_llama, dtype), tmp_path / "adapter")
    torch.testing.assert_close(logits(opened), tuned, atol=1e-6, rtol=0)


@pytest.mark.parametrize("options", [{"bias": "all"}, {"bias": "none"}, {"modules_to_save": ["pooler"]}], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_classifiers_train_save_open_and_merge(
    options: dict[str, Any], dtype: str, tiny_bert: Path, tmp_path: Path
) -> None:
    base = load(tiny_bert, dtype, "sequence_classification")
    method, network = applied(base, "SEQ_CLS", **options)
    tuned = train(network)
    saved = json.loads(json.dumps(network.peft_config["default"].to_dict(), default=list))["modules_to_save"]
    assert "classifier" in saved
    method.save(network, tmp_path / "adapter", base)
    opened = method.open(load(tiny_bert, dtype, "sequence_classification"), tmp_path / "adapter")
    torch.testing.assert_close(logits(opened), tuned, atol=1e-6, rtol=0)
    merged = method.merge(opened)
    assert {parameter.dtype for parameter in merged.parameters()} == {torch.float32}
    tolerance = 1e-5 if dtype == "float32" else 0.05
    torch.testing.assert_close(logits(merged), tuned.float(), atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    "options",
    [{}, {"dora": True}, {"init": "random"}, {"rslora": True}, {"bias": "all"}, {"modules_to_save": ["embed_tokens"]}],
    ids=str,
)
def test_variants_merge(options: dict[str, Any], tiny_llama: Path) -> None:
    method, network = applied(load(tiny_llama), **options)
    tuned = train(network)
    merged: Any = method.merge(network)
    torch.testing.assert_close(logits(merged), tuned, atol=1e-5, rtol=0)
    assert merged.lm_head.weight is merged.model.embed_tokens.weight  # still one table, as its configuration says


def test_orthogonal_matrices_change_nothing_at_first(tiny_llama: Path) -> None:
    base = load(tiny_llama)
    before = logits(base.network)
    _, network = applied(base, init="orthogonal")
    torch.testing.assert_close(logits(network), before, atol=1e-5, rtol=0)


def in_memory(network: Any, folder: Path) -> BaseModel:
    network.requires_grad_(False)
    facts = describe(network, network.config)
    files = ModelFiles(folder, "random", "0")
    return BaseModel(network, None, files, facts, torch.float32, "", torch.device("cpu"))


def test_transposed_weights_of_gpt2(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    torch.manual_seed(0)
    config = AutoConfig.for_model("gpt2", vocab_size=64, n_embd=32, n_layer=2, n_head=4)
    method, network = applied(in_memory(AutoModelForCausalLM.from_config(config), tmp_path))
    assert not [warning for warning in recwarn if "fan_in_fan_out" in str(warning.message)]
    tuned = train(network)
    torch.testing.assert_close(logits(method.merge(network)), tuned, atol=1e-5, rtol=0)


def test_every_new_module_of_a_head_is_saved(tmp_path: Path) -> None:
    config = AutoConfig.for_model("distilbert", vocab_size=64, dim=32, n_layers=2, n_heads=4, hidden_dim=48)

    def fresh(seed: int) -> BaseModel:
        torch.manual_seed(seed)
        network = AutoModelForSequenceClassification.from_config(config)
        torch.manual_seed(0)
        network.distilbert.apply(network._init_weights)  # the same body each time, another head
        return in_memory(network, tmp_path)

    base = fresh(1)
    method, network = applied(base, "SEQ_CLS")
    tuned = train(network)
    method.save(network, tmp_path / "adapter", base)
    opened = method.open(fresh(2), tmp_path / "adapter")
    torch.testing.assert_close(logits(opened), tuned, atol=1e-6, rtol=0)


def test_the_adapter_names_its_base(tiny_llama: Path, tmp_path: Path) -> None:
    base = load(tiny_llama)
    method, network = applied(base)
    method.save(network, tmp_path, base)
    written = json.loads((tmp_path / "adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == str(tiny_llama)
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_an_adapter_of_another_base(tiny_llama: Path, tiny_bert: Path, tmp_path: Path) -> None:
    base = load(tiny_llama)
    method, network = applied(base)
    method.save(network, tmp_path, base)
    with pytest.raises(ModelError, match="does not load on this base"):
        method.open(load(tiny_bert, head="sequence_classification"), tmp_path)
