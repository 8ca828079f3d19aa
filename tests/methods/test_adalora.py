from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from pydantic import ValidationError
from transformers import AutoModelForCausalLM

from luthier.config import ModelConfig
from luthier.errors import ModelError
from luthier.methods import Reports
from luthier.methods.adalora import Adalora, AdaloraOptions
from luthier.models.base import BaseModel
from luthier.models.files import resolve
from luthier.models.loading import load_base

IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16]])
TARGETS = torch.tensor([[6, 7, 8, 9, 10, 2], [12, 13, 14, 15, 16, 2]])
TOTAL = 12
DTYPES = ("bfloat16", "float32")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


def load(folder: Path, dtype: str = "float32", quantise: str = "none") -> BaseModel:
    torch.manual_seed(0)
    parts = {"base": str(folder), "dtype": dtype, "device": "cpu", "quantise": quantise}
    return load_base(ModelConfig.model_validate(parts), resolve(str(folder)), head="causal_lm")


class Training:
    """A run of AdaLoRA on one batch, step by step."""

    def __init__(self, base: BaseModel, total: int = TOTAL, **options: Any) -> None:
        torch.manual_seed(0)
        self.base, self.method = base, Adalora(AdaloraOptions.model_validate({"rank": 3} | options))
        self.network: Any = self.method.apply(base, peft_task="CAUSAL_LM", total_steps=total)
        self.optimiser = torch.optim.AdamW(self.method.parameter_groups(self.network, 3e-2, 0.0))

    def steps(self, first: int, last: int) -> Training:
        self.network.train()
        for number in range(first, last + 1):
            logits = self.network(input_ids=IDS).logits.float()
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), TARGETS.flatten())
            penalty = self.method.penalty(self.network)
            (loss if penalty is None else loss + penalty).backward()
            self.optimiser.step()
            self.method.on_step(self.network, number)
            self.optimiser.zero_grad()
        return self

    @property
    def ranks(self) -> dict[str, int]:
        found: dict[str, int] = self.method.report(self.network)["rank_of"]
        return found


def logits(network: Any) -> torch.Tensor:
    network.eval()
    with torch.no_grad():
        found: torch.Tensor = network(input_ids=IDS).logits
    return found


def test_ranks_are_pruned_to_the_budget_and_differ(tiny_llama: Path) -> None:
    run = Training(load(tiny_llama), warmup=2, settle=4, interval=1)
    budget = [sum(run.steps(step, step).ranks.values()) for step in range(1, TOTAL + 1)]
    modules = len(run.ranks)
    assert modules == 14
    assert budget[:2] == [5 * modules] * 2, "the warm-up prunes nothing"
    assert budget[2] < 5 * modules
    assert budget[2:8] == sorted(budget[2:8], reverse=True)
    assert budget[7:] == [3 * modules] * 5, "settling keeps what is left"
    assert len(set(run.ranks.values())) > 1


def test_what_is_pruned_at_last_stays_zero_and_the_rest_learns(tiny_llama: Path) -> None:
    run = Training(load(tiny_llama), warmup=0, settle=6).steps(1, 6)
    ranks, values = run.ranks, {n: p.clone() for n, p in run.network.named_parameters() if "lora_E" in n}
    run.steps(7, TOTAL)
    assert run.ranks == ranks
    after = dict(run.network.named_parameters())
    assert all(torch.equal(value == 0, after[name] == 0) for name, value in values.items())
    assert any(not torch.equal(value, after[name]) for name, value in values.items())


def test_the_report_says_what_was_found(tiny_llama: Path) -> None:
    run = Training(load(tiny_llama)).steps(1, TOTAL)
    assert isinstance(run.method, Reports)
    found = run.method.report(run.network)
    ranks = found["rank_of"]
    assert set(ranks) >= {"model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"}
    assert found["ranks"] == f"{min(ranks.values())} to {max(ranks.values())}, 3.0 on average; 5 at first"


@pytest.mark.parametrize(
    ("total", "options", "expected"),
    [
        (1000, {}, (1000, 100, 300, 10)),
        (30, {}, (30, 3, 9, 1)),
        (1, {}, (2, 1, 0, 1)),
        (2, {}, (2, 1, 0, 1)),
        (3, {}, (3, 1, 1, 1)),
        (10, {"warmup": 1.0, "settle": 1.0}, (10, 9, 0, 10 // 10)),
        (10, {"warmup": 0, "settle": 1.0}, (10, 0, 8, 1)),
        (100, {"warmup": 20, "settle": 50, "interval": 7}, (100, 20, 50, 7)),
    ],
)
def test_the_schedule_fits_into_any_run(total: int, options: dict[str, Any], expected: tuple[int, ...]) -> None:
    assert Adalora(AdaloraOptions.model_validate(options)).schedule(total) == expected


@pytest.mark.parametrize("total", [2, 3, 5])
def test_short_runs_prune_too(total: int, tiny_llama: Path) -> None:
    run = Training(load(tiny_llama), total).steps(1, total)
    assert sum(run.ranks.values()) == 3 * 14


def test_the_penalty_is_that_of_peft(tiny_llama: Path) -> None:
    run = Training(load(tiny_llama), orthogonality=0.3).steps(1, 3)
    found = run.method.penalty(run.network)
    config = run.network.peft_config["default"]
    plain = run.network(input_ids=IDS, labels=IDS).loss.detach()
    config.orth_reg_weight = 0.3
    assert found is not None
    torch.testing.assert_close(found, run.network(input_ids=IDS, labels=IDS).loss - plain, atol=1e-5, rtol=0)
    assert Training(load(tiny_llama), orthogonality=0).method.penalty(run.network) is None


@pytest.mark.parametrize("stop", [1, 4, 7, 9])
def test_a_resumed_run_is_the_same_bit_for_bit(stop: int, tiny_llama: Path) -> None:
    options = {"warmup": 2, "settle": 5, "interval": 2}
    whole = Training(load(tiny_llama), **options).steps(1, TOTAL)
    first = Training(load(tiny_llama), **options).steps(1, stop)
    second = Training(load(tiny_llama), **options)
    second.method.restore(second.network, first.method.state(first.network))
    second.optimiser.load_state_dict(first.optimiser.state_dict())
    second.steps(stop + 1, TOTAL)
    kept, expected = second.method.state(second.network), whole.method.state(whole.network)
    assert kept.keys() == expected.keys()
    assert all(torch.equal(kept[name], expected[name]) for name in kept)


def test_a_state_of_something_else_is_refused(tiny_llama: Path) -> None:
    run = Training(load(tiny_llama))
    with pytest.raises(ModelError, match="not of this network"):
        run.method.restore(run.network, {"exp_avg_ipt.else": torch.zeros(1)})


@pytest.mark.parametrize("steps", [0, 5, TOTAL])
def test_it_is_saved_as_plain_lora_at_any_step(steps: int, tiny_llama: Path, tmp_path: Path) -> None:
    run = Training(load(tiny_llama), interval=3).steps(1, steps)
    tuned, state = logits(run.network), run.method.state(run.network)
    run.method.save(run.network, tmp_path, run.base)
    again = run.method.state(run.network)
    assert all(torch.equal(value, again[name]) for name, value in state.items()), "saving changes nothing"
    written = json.loads((tmp_path / "adapter_config.json").read_text())
    assert written["peft_type"] == "LORA"
    assert written["rank_pattern"] == {name: max(rank, 1) for name, rank in run.ranks.items()}
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_llama), tmp_path)
    torch.testing.assert_close(logits(plain), tuned, atol=1e-5, rtol=0)


def test_a_module_without_any_rank_left_adds_nothing(tiny_llama: Path, tmp_path: Path) -> None:
    run = Training(load(tiny_llama)).steps(1, TOTAL)
    name = "model.layers.0.self_attn.q_proj"
    run.network.get_submodule(f"base_model.model.{name}").lora_E["default"].data.zero_()
    assert run.ranks[name] == 0
    tuned = logits(run.network)
    run.method.save(run.network, tmp_path, run.base)
    torch.testing.assert_close(logits(run.method.open(load(tiny_llama), tmp_path)), tuned, atol=1e-5, rtol=0)


@pytest.mark.parametrize("quantise", ["none", "nf4", "int8"])
def test_in_bfloat16_and_on_quantised_bases(quantise: str, wide_llama: Path, tmp_path: Path) -> None:
    if quantise != "none":
        pytest.importorskip("bitsandbytes", reason="quantised bases need bitsandbytes: pip install luthier[quantise]")
    run = Training(load(wide_llama, "bfloat16", quantise)).steps(1, TOTAL)
    assert {p.dtype for p in run.network.parameters() if p.requires_grad} == {torch.float32}
    assert sum(run.ranks.values()) == 3 * 14
    tuned = logits(run.network).float()
    run.method.save(run.network, tmp_path, run.base)
    half, exact = (logits(run.method.open(load(wide_llama, dtype, quantise), tmp_path)) for dtype in DTYPES)
    rounding = (exact - tuned).norm()
    assert (half.float() - tuned).norm() < 1.5 * rounding < 0.1 * tuned.norm()


def test_options_that_prune_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="nothing to prune"):
        AdaloraOptions(rank=8, initial_rank=8)
    assert AdaloraOptions(rank=8).first_rank == 12
    assert AdaloraOptions(rank=1).first_rank == 2
