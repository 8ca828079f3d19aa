"""What every tuning method promises, on a tiny decoder and a tiny encoder. A new method is tried by being there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from luthier import registry
from luthier.config import ModelConfig
from luthier.errors import ModelError
from luthier.methods import Method, count_parameters
from luthier.models.base import BaseModel, Head
from luthier.models.files import resolve
from luthier.models.loading import load_base

LABELS = ["negative", "neutral", "positive"]
HEADS: dict[str, Head] = {"CAUSAL_LM": "causal_lm", "SEQ_CLS": "sequence_classification"}
IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16]])
Load = Callable[[], BaseModel]


@pytest.fixture(params=registry.names("method"))
def method(request: pytest.FixtureRequest) -> Method:
    kind = registry.load("method", request.param)
    made: Method = kind(kind.Options())
    return made


@pytest.fixture(params=sorted(HEADS))
def peft_task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def load(peft_task: str, tiny_llama: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a fresh base, its head always the same."""
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    folder = str(tiny_llama if peft_task == "CAUSAL_LM" else tiny_bert)

    def fresh() -> BaseModel:
        torch.manual_seed(0)
        config = ModelConfig(base=folder, dtype="float32", device="cpu")
        return load_base(config, resolve(folder), head=HEADS[peft_task], labels=LABELS)

    return fresh


def logits(network: nn.Module) -> torch.Tensor:
    network.eval()
    with torch.no_grad():
        found: torch.Tensor = network(input_ids=IDS).logits
    return found


def step(method: Method, network: nn.Module, number: int = 1) -> None:
    """One optimiser step towards the first class, or the first token."""
    network.train()
    optimiser = torch.optim.AdamW(method.parameter_groups(network, 1e-2, 0.0))
    output = network(input_ids=IDS).logits
    loss = nn.functional.cross_entropy(output.flatten(0, -2), torch.zeros(output[..., 0].numel(), dtype=torch.long))
    penalty = method.penalty(network)
    (loss if penalty is None else loss + penalty).backward()
    optimiser.step()
    method.on_step(network, number)
    optimiser.zero_grad()


def trained(method: Method, base: BaseModel, peft_task: str, steps: int = 2) -> nn.Module:
    torch.manual_seed(0)
    network = method.apply(base, peft_task=peft_task, total_steps=steps)
    for number in range(1, steps + 1):
        step(method, network, number)
    return network


def test_something_is_trained_and_in_float32(method: Method, load: Load, peft_task: str) -> None:
    network = method.apply(load(), peft_task=peft_task, total_steps=1)
    state = method.state(network)
    names = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert names
    assert names <= set(state)
    assert {dict(network.named_parameters())[name].dtype for name in names} == {torch.float32}
    count, total = count_parameters(network)
    assert 0 < count <= total


def test_groups_cover_every_trained_parameter_once(method: Method, load: Load, peft_task: str) -> None:
    network = method.apply(load(), peft_task=peft_task, total_steps=1)
    groups = method.parameter_groups(network, 1e-3, 0.1)
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(listed) == sorted(id(parameter) for parameter in network.parameters() if parameter.requires_grad)
    assert all(group["lr"] > 0 and group["weight_decay"] in (0.0, 0.1) for group in groups)


def test_a_step_changes_the_answers_and_nothing_that_is_frozen(method: Method, load: Load, peft_task: str) -> None:
    base = load()
    network = method.apply(base, peft_task=peft_task, total_steps=2)
    before = logits(network)
    frozen = {name: value.clone() for name, value in network.named_parameters() if not value.requires_grad}
    step(method, network, 1)
    step(method, network, 2)
    assert (logits(network) - before).abs().max() > 1e-4
    parameters = dict(network.named_parameters())
    assert all(torch.equal(parameters[name], value) for name, value in frozen.items())


def test_a_state_comes_back_bit_for_bit(method: Method, load: Load, peft_task: str) -> None:
    network = trained(method, load(), peft_task)
    kept, answers = method.state(network), logits(network)
    step(method, network, 3)
    assert not torch.equal(logits(network), answers)
    method.restore(network, kept)
    assert torch.equal(logits(network), answers)
    again = method.state(network)
    assert kept.keys() == again.keys()
    assert all(torch.equal(kept[name], again[name]) for name in kept)


def test_a_state_moves_to_a_fresh_network(method: Method, load: Load, peft_task: str) -> None:
    network = trained(method, load(), peft_task)
    fresh = method.apply(load(), peft_task=peft_task, total_steps=2)
    method.restore(fresh, method.state(network))
    assert torch.equal(logits(fresh), logits(network))


def test_a_state_of_something_else_is_refused(method: Method, load: Load, peft_task: str) -> None:
    network = method.apply(load(), peft_task=peft_task, total_steps=1)
    with pytest.raises(ModelError, match="not of this network"):
        method.restore(network, {"something.else": torch.zeros(1)})


def plainly_loaded(folder: Path, base: BaseModel, peft_task: str) -> nn.Module:
    """The artefact as somebody loads it who has never heard of Luthier."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    loader: Any = AutoModelForCausalLM if peft_task == "CAUSAL_LM" else AutoModelForSequenceClassification
    options = {} if peft_task == "CAUSAL_LM" else {"num_labels": len(LABELS)}
    torch.manual_seed(99)  # a head that was not saved would differ
    if not (folder / "adapter_config.json").exists():
        plain: nn.Module = loader.from_pretrained(folder, **options)
        return plain
    return PeftModel.from_pretrained(loader.from_pretrained(base.files.folder, **options), folder)


def test_the_artefact_loads_in_plain_libraries(method: Method, load: Load, peft_task: str, tmp_path: Path) -> None:
    base = load()
    untuned = logits(base.network)
    network = trained(method, base, peft_task)
    method.save(network, tmp_path / "adapter", base)
    assert not list(tmp_path.glob("adapter/*.bin"))
    plain = logits(plainly_loaded(tmp_path / "adapter", base, peft_task))
    torch.testing.assert_close(plain, logits(network), atol=1e-6, rtol=0)
    assert (plain - untuned).abs().max() > 1e-4


def test_the_artefact_opens_on_a_fresh_base(method: Method, load: Load, peft_task: str, tmp_path: Path) -> None:
    base = load()
    network = trained(method, base, peft_task)
    method.save(network, tmp_path / "adapter", base)
    opened = method.open(load(), tmp_path / "adapter")
    assert not opened.training
    assert count_parameters(opened)[0] == 0
    torch.testing.assert_close(logits(opened), logits(network), atol=1e-6, rtol=0)


def test_an_artefact_that_is_not_there(method: Method, load: Load, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        method.open(load(), tmp_path)


def test_merging_keeps_the_answers_or_says_why_not(method: Method, load: Load, peft_task: str) -> None:
    base = load()
    network = trained(method, base, peft_task)
    tuned = logits(network)
    try:
        merged = method.merge(network)
    except ModelError:
        return
    assert type(merged) is type(load().network)
    torch.testing.assert_close(logits(merged), tuned, atol=1e-5, rtol=0)
