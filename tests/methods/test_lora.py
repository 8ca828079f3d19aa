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
from luthier.data.records import Batch
from luthier.errors import ModelError
from luthier.methods.lora import Lora, LoraOptions
from luthier.models.architectures import describe
from luthier.models.base import BaseModel, Head, ModelFiles
from luthier.models.files import resolve
from luthier.models.loading import load_base
from luthier.models.quantisation import weight_of

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


def layers_of(network: Any) -> dict[str, Any]:
    return {name: module for name, module in network.named_modules() if "default" in getattr(module, "lora_A", ())}


def plainly_loaded(folder: Path, base: Path, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The adapter as somebody loads it who has never heard of Luthier."""
    from peft import PeftModel

    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=dtype), folder)


def test_in_lora_plus_b_learns_faster(tiny_llama: Path) -> None:
    method, network = applied(load(tiny_llama), plus_ratio=16, dora=True, modules_to_save=["lm_head"])
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = method.parameter_groups(network, 1e-3, 0.1)
    rates = {names[id(p)]: group["lr"] for group in groups for p in group["params"]}
    assert rates.keys() == {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert sum(len(group["params"]) for group in groups) == len(rates), "each once"
    assert {rate for name, rate in rates.items() if ".lora_B." in name} == {16e-3}
    assert {rate for name, rate in rates.items() if ".lora_B." not in name} == {1e-3}
    assert groups[0]["lr"] == 1e-3, "the rate that events tell"


DECOMPOSED: list[dict[str, Any]] = [
    {"init": "pissa"},
    {"init": "pissa_fast", "rank": 4},
    {"init": "olora", "rslora": True},
    {"init": "pissa", "dora": True},
    {"init": "pissa", "rslora": True, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 6, "up_proj": 3}},
    {"init": "olora", "rank_pattern": {"k_proj": 3}, "alpha_pattern": {"k_proj": 5}},
]


@pytest.mark.parametrize("options", DECOMPOSED, ids=str)
def test_decompositions_are_saved_as_plain_lora(options: dict[str, Any], tiny_llama: Path, tmp_path: Path) -> None:
    base = load(tiny_llama)
    before = logits(base.network)
    untouched = {name: value.clone() for name, value in base.network.state_dict().items()}
    method, network = applied(base, **options)
    torch.testing.assert_close(logits(network), before, atol=1e-4, rtol=0)
    weight = network.get_submodule("base_model.model.model.layers.0.mlp.up_proj").base_layer.weight
    assert not torch.allclose(weight, untouched["model.layers.0.mlp.up_proj.weight"], atol=1e-3)
    tuned = train(network)
    method.save(network, tmp_path / "adapter", base)
    assert torch.equal(logits(network), tuned), "saving changes nothing"
    written = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (written["init_lora_weights"], written["r"]) == (True, 2 * options.get("rank", 16))
    plain = plainly_loaded(tmp_path / "adapter", tiny_llama)
    torch.testing.assert_close(logits(plain), tuned, atol=2e-5, rtol=0)
    for name, layer in layers_of(network).items():
        same = plain.get_submodule(name)
        assert same.r["default"] == 2 * layer.r["default"]
        assert same.scaling["default"] == pytest.approx(layer.scaling["default"])
    assert float((tuned - before).abs().max()) > 0.01
    torch.testing.assert_close(logits(method.merge(network)), tuned, atol=2e-5, rtol=0)


def test_decomposed_weights_of_gpt2_are_saved_as_plain_lora(tmp_path: Path) -> None:
    config = AutoConfig.for_model("gpt2", vocab_size=64, n_embd=32, n_layer=2, n_head=4, initializer_range=0.2)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "base")

    def fresh() -> Any:
        return AutoModelForCausalLM.from_pretrained(tmp_path / "base")

    base = in_memory(fresh(), tmp_path)
    before = logits(base.network)
    method, network = applied(base, init="pissa")
    torch.testing.assert_close(logits(network), before, atol=1e-4, rtol=0)
    tuned = train(network)
    method.save(network, tmp_path / "adapter", base)
    torch.testing.assert_close(
        logits(plainly_loaded(tmp_path / "adapter", tmp_path / "base")), tuned, atol=2e-5, rtol=0
    )
    with pytest.raises(ModelError, match="olora does not know transposed weights"):
        applied(in_memory(fresh(), tmp_path), init="olora")


def test_in_bfloat16_a_decomposition_differs_from_its_artefact_by_rounding_only(
    tiny_llama: Path, tmp_path: Path
) -> None:
    base = load(tiny_llama, "bfloat16")
    before = logits(base.network)
    method, network = applied(base, init="pissa")
    assert {p.dtype for p in network.parameters() if p.requires_grad} == {torch.float32}
    rounding = float((logits(network) - before).abs().max())
    tuned = train(network)
    method.save(network, tmp_path, base)
    apart = float((logits(method.open(load(tiny_llama, "bfloat16"), tmp_path)) - tuned).abs().max())
    assert apart <= 4 * rounding < 0.1 * float((tuned - before).abs().max())


@pytest.mark.parametrize("init", ["pissa", "pissa_fast", "olora"])
def test_a_decomposition_is_repeated_bit_for_bit(init: str, tiny_llama: Path) -> None:
    (_, one), (_, other) = (applied(load(tiny_llama), init=init, rank=4) for _ in range(2))
    other_weights = other.state_dict()
    assert all(torch.equal(value, other_weights[name]) for name, value in one.state_dict().items())


def test_a_state_puts_a_base_right_that_was_decomposed_otherwise(tiny_llama: Path) -> None:
    method, network = applied(load(tiny_llama), init="pissa_fast", rank=4)
    tuned = train(network)
    base = load(tiny_llama)
    torch.manual_seed(5)
    other = method.apply(base, peft_task="CAUSAL_LM", total_steps=1)
    assert not torch.equal(
        method.state(other)["start.base_model.model.model.layers.0.mlp.up_proj.A"],
        method.state(network)["start.base_model.model.model.layers.0.mlp.up_proj.A"],
    )
    method.restore(other, method.state(network))
    torch.testing.assert_close(logits(other), tuned, atol=2e-5, rtol=0)
    lacking = {name: value for name, value in method.state(network).items() if not name.startswith("start.")}
    with pytest.raises(ModelError, match="not of this network"):
        method.restore(other, lacking)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init": "pissa", "rank": 20}, "no 20 directions in 'model.layers.0.self_attn.k_proj' of 16 x 32"),
        ({"init": "pissa", "targets": ".*lm_head"}, "the weight of 'lm_head', which other modules share"),
        ({"init": "pissa", "targets": ["lm_head"]}, "an embedding table, or what shares its weight"),
        ({"init": "olora", "targets": ["q_proj", "embed_tokens"]}, "an embedding table"),
        ({"init": "loftq"}, "makes up for what nf4 takes"),
    ],
)
def test_initialisations_that_do_not_fit_the_base(options: dict[str, Any], message: str, tiny_llama: Path) -> None:
    with pytest.raises(ModelError, match=message):
        applied(load(tiny_llama), **options)


class Looked:
    """A base that is looked at in batches of random rows, padded on the right."""

    def __init__(self, base: BaseModel, task: str, **options: Any) -> None:
        torch.manual_seed(0)
        self.method, self.network = applied(base, task, init="eva", **options)
        self.batches = []
        for _ in range(4):
            ids_bt = torch.randint(3, 300, (8, 12))
            mask_bt = torch.ones_like(ids_bt)
            mask_bt[:4, 7:] = 0
            ids_bt[:4, 7:] = 0
            self.batches.append(Batch(ids_bt, mask_bt, ids_bt[:, :5].clone(), range(8), 40))
        self.before = logits_of(self.network, self.batches[0])
        self.method.initialise(self.network, self.batches, lambda batch: logits_of(self.network, batch))


def logits_of(network: Any, batch: Batch) -> torch.Tensor:
    network.eval()
    decoder = {"decoder_input_ids": batch.targets} if network.config.is_encoder_decoder else {}
    found: torch.Tensor = network(
        input_ids=batch.input_ids_bt, attention_mask=batch.attention_mask_bt, **decoder
    ).logits
    return found


def test_eva_begins_with_what_the_layers_read(tiny_llama: Path) -> None:
    looked = Looked(load(tiny_llama), "CAUSAL_LM", rank=4, targets=["up_proj"])
    layers = layers_of(looked.network)
    read: dict[str, list[torch.Tensor]] = {name: [] for name in layers}
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda module, inputs, name=name: read[name].append(inputs[0]))
    for batch in looked.batches:
        logits_of(looked.network, batch)
    for name, layer in layers.items():
        real = [x[batch.attention_mask_bt.bool()] for x, batch in zip(read[name], looked.batches, strict=True)]
        rows = torch.cat(real).detach()
        rows = rows - rows.mean(0)
        a = layer.lora_A["default"].weight
        best = torch.linalg.svdvals(rows)[: len(a)].square().sum()
        assert (rows @ a.T).square().sum() > 0.9 * best, "nearly as much as the best directions explain"
        torch.testing.assert_close(a @ a.T, torch.eye(len(a)), atol=1e-3, rtol=0)
        assert not layer.lora_B["default"].weight.any()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_eva_spreads_ranks_and_is_saved_as_plain_lora(dtype: str, tiny_llama: Path, tmp_path: Path) -> None:
    looked = Looked(load(tiny_llama, dtype), "CAUSAL_LM", rank=4)
    torch.testing.assert_close(logits_of(looked.network, looked.batches[0]), looked.before, atol=0, rtol=0)
    ranks = [layer.r["default"] for layer in layers_of(looked.network).values()]
    assert len(set(ranks)) > 1
    assert sum(ranks) <= 4 * 14
    assert {p.dtype for p in looked.network.parameters() if p.requires_grad} == {torch.float32}
    tuned = train(looked.network)
    looked.method.save(looked.network, tmp_path, load(tiny_llama, dtype))
    written = json.loads((tmp_path / "adapter_config.json").read_text())
    assert written["init_lora_weights"] is True
    assert written["eva_config"] is None
    opened = looked.method.open(load(tiny_llama, dtype), tmp_path)
    torch.testing.assert_close(logits(opened), tuned, atol=1e-6, rtol=0)


def test_eva_on_an_encoder_decoder(tiny_t5: Path) -> None:
    looked = Looked(load(tiny_t5, head="seq2seq_lm"), "SEQ_2_SEQ_LM", rank=2)
    assert torch.equal(logits_of(looked.network, looked.batches[0]), looked.before)
    names = layers_of(looked.network)
    assert any(".decoder." in name and "EncDecAttention" in name for name in names)


def test_eva_looks_at_rows_with_negative_scores(tiny_bert: Path) -> None:
    ids_bt = torch.randint(3, 300, (8, 6))
    scores_b = torch.full((8,), -1.0)
    batch = Batch(ids_bt, torch.ones_like(ids_bt), scores_b, range(8), 8)
    method, network = applied(
        load(tiny_bert, head="sequence_classification"), "SEQ_CLS", init="eva", rank=2, targets=["pooler.dense"]
    )
    read: list[torch.Tensor] = []
    [layer] = layers_of(network).values()
    layer.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0].detach()))
    method.initialise(network, [batch] * 2, lambda batch: logits_of(network, batch))
    rows, a = read[0] - read[0].mean(0), layer.lora_A["default"].weight
    assert (rows @ a.T).square().sum() > 0.9 * torch.linalg.svdvals(rows)[:2].square().sum()


def test_eva_looks_at_as_much_as_it_needs() -> None:
    assert Lora(LoraOptions(init="eva", rank=4, rank_pattern={"q_proj": 10})).rows_wanted() == 20
    assert Lora(LoraOptions()).rows_wanted() == 0


def test_eva_does_not_look_for_ever(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.methods._initialisation.MOST_LOOKS", 3)
    with pytest.raises(ModelError, match="still change after 3 batches"):
        Looked(load(tiny_llama), "CAUSAL_LM", rank=8)


def quantised(folder: Path, kind: str, dtype: str = "float32") -> BaseModel:
    pytest.importorskip("bitsandbytes", reason="quantised bases need bitsandbytes: pip install luthier[quantise]")
    config = ModelConfig(base=str(folder), dtype=dtype, device="cpu", quantise=kind)  # type: ignore[arg-type]
    return load_base(config, resolve(str(folder)), head="causal_lm")


@pytest.mark.parametrize("kind", ["nf4", "int8"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_quantised_base_is_trained_saved_and_opened(kind: str, dtype: str, wide_llama: Path, tmp_path: Path) -> None:
    base = quantised(wide_llama, kind, dtype)
    method, network = applied(base)
    assert {p.dtype for p in network.parameters() if p.requires_grad} == {torch.float32}
    before = logits(network)
    tuned = train(network)
    assert float((tuned - before).abs().max()) > 0.01
    method.save(network, tmp_path, base)
    opened = method.open(quantised(wide_llama, kind, dtype), tmp_path)
    torch.testing.assert_close(logits(opened), tuned, atol=1e-6, rtol=0)


@pytest.mark.parametrize("options", [{}, {"rslora": True, "alpha": 8}, {"rank": 4}], ids=str)
def test_loftq_begins_with_what_quantisation_took(options: dict[str, Any], wide_llama: Path, tmp_path: Path) -> None:
    plain, base = load(wide_llama), quantised(wide_llama, "nf4")
    wanted, had = logits(plain.network), logits(base.network)
    method, network = applied(base, init="loftq", **options)
    for name, layer in layers_of(network).items():
        original = plain.network.get_submodule(name.removeprefix("base_model.model.")).weight
        lacking = original - weight_of(layer.base_layer, torch.float32)
        assert (lacking - layer.get_delta_weight("default")).norm() < 0.95 * lacking.norm()
        best = torch.linalg.svdvals(lacking)[layer.r["default"] :].norm()
        torch.testing.assert_close((lacking - layer.get_delta_weight("default")).norm(), best, atol=1e-4, rtol=1e-3)
    assert (logits(network) - wanted).norm() < (had - wanted).norm()
    tuned = train(network)
    method.save(network, tmp_path, base)
    opened = method.open(quantised(wide_llama, "nf4"), tmp_path)
    torch.testing.assert_close(logits(opened), tuned, atol=1e-6, rtol=0)


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_the_weights_of_a_quantised_base_cannot_be_decomposed(init: str, wide_llama: Path) -> None:
    with pytest.raises(ModelError, match=r"those of this base are nf4\n.*loftq"):
        applied(quantised(wide_llama, "nf4"), init=init)


@pytest.mark.parametrize("init", ["eva", "loftq"])
def test_dora_does_not_go_with_every_beginning(init: str) -> None:
    with pytest.raises(ValidationError, match=f"dora and init: {init} do not go together"):
        LoraOptions.model_validate({"dora": True, "init": init})
