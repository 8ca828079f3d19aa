"""What every tuning method promises, on a decoder, an encoder and an encoder-decoder. A new method is tried by being
there. What is found stands in docs/method-contract.md, which this writes:

    LUTHIER_WRITE_DOCS=1 python -m pytest tests/methods/test_contract.py -k page
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from luthier import registry
from luthier.config import ModelConfig
from luthier.errors import ModelError
from luthier.methods import Method, count_parameters
from luthier.models.architectures import describe
from luthier.models.base import BaseModel, Head
from luthier.models.files import resolve
from luthier.models.loading import load_base, loader_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "method-contract.md"
LABELS = ["negative", "neutral", "positive"]
HEADS: dict[str, Head] = {
    "CAUSAL_LM": "causal_lm",
    "SEQ_CLS": "sequence_classification",
    "SEQ_2_SEQ_LM": "seq2seq_lm",
}
IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16]])
Load = Callable[[], BaseModel]

REFUSED = {
    ("bitfit", "CAUSAL_LM"): "no biases",
    ("bitfit", "SEQ_2_SEQ_LM"): "no biases",
    ("llama_adapter", "SEQ_CLS"): "no LLaMA-Adapter for bert",
    ("llama_adapter", "SEQ_2_SEQ_LM"): "no LLaMA-Adapter for t5",
    ("multitask_prompt", "SEQ_2_SEQ_LM"): "do not go with an encoder-decoder",
}
"""What does not apply to the tiny Llama, BERT and T5, and what the error says."""

OWN_FORMAT = {"bottleneck"}
"""Methods whose artefact only Luthier reads."""

EVERY = [(name, task) for name in registry.names("method") for task in HEADS]


def make(name: str) -> Method:
    kind = registry.load("method", name)
    made: Method = kind(kind.Options())
    return made


@pytest.fixture(params=[pair for pair in EVERY if pair not in REFUSED], ids="-".join)
def combination(request: pytest.FixtureRequest) -> tuple[str, str]:
    name, task = request.param
    return name, task


@pytest.fixture
def method(combination: tuple[str, str]) -> Method:
    return make(combination[0])


@pytest.fixture
def peft_task(combination: tuple[str, str]) -> str:
    return combination[1]


@pytest.fixture(scope="module")
def loads(tiny_llama: Path, tiny_bert: Path, tiny_t5: Path, own_cache: Path) -> dict[str, Load]:
    """Loads a fresh base for each task, its head always the same."""
    folders = {"CAUSAL_LM": tiny_llama, "SEQ_CLS": tiny_bert, "SEQ_2_SEQ_LM": tiny_t5}

    def loader(task: str) -> Load:
        def fresh() -> BaseModel:
            torch.manual_seed(0)
            config = ModelConfig(base=str(folders[task]), dtype="float32", device="cpu")
            labels = LABELS if task == "SEQ_CLS" else []
            return load_base(config, resolve(str(folders[task])), head=HEADS[task], labels=labels)

        return fresh

    return {task: loader(task) for task in HEADS}


@pytest.fixture
def load(loads: dict[str, Load], peft_task: str) -> Load:
    return loads[peft_task]


def answer(network: nn.Module, **arguments: Any) -> torch.Tensor:
    """Logits; those of soft prompts, which plain `peft` leaves in front, are cut off."""
    decoder = {"decoder_input_ids": IDS[:, :3]} if network.config.is_encoder_decoder else {}
    found: torch.Tensor = network(input_ids=IDS, **decoder, **arguments).logits
    length = 3 if decoder else IDS.shape[1]
    return found[:, -length:] if found.ndim == 3 else found


def logits(network: nn.Module, **arguments: Any) -> torch.Tensor:
    network.eval()
    with torch.no_grad():
        return answer(network, **arguments)


def alike(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether logits differ by rounding only: merged weights add up in another order."""
    return bool((found - expected).abs().max() <= 5e-5 * expected.abs().max())


def changed(found: torch.Tensor, before: torch.Tensor) -> bool:
    """Whether logits differ by far more than rounding."""
    return bool((found - before).abs().max() > 1e-3 * before.abs().max())


def step(method: Method, network: nn.Module, number: int = 1) -> None:
    """One optimiser step towards the first class, or the first token."""
    network.train()
    optimiser = torch.optim.AdamW(method.parameter_groups(network, 1e-2, 0.0))
    output = answer(network)
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
    assert changed(logits(network), before)
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


def plainly_loaded(folder: Path, base: BaseModel, peft_task: str) -> torch.Tensor:
    """Logits of the artefact as somebody loads it who has never heard of Luthier."""
    from peft import PeftModel

    loader = loader_of(HEADS[peft_task])
    options = {"num_labels": len(LABELS)} if peft_task == "SEQ_CLS" else {}
    torch.manual_seed(99)  # a head that was not saved would differ
    if not (folder / "adapter_config.json").exists():
        return logits(loader.from_pretrained(folder, **options))
    network = PeftModel.from_pretrained(loader.from_pretrained(base.files.folder, **options), folder)
    multitask = network.active_peft_config.peft_type == "MULTITASK_PROMPT_TUNING"
    return logits(network, **({"task_ids": torch.zeros(len(IDS), dtype=torch.long)} if multitask else {}))


def test_the_artefact_loads_in_plain_libraries(
    method: Method, load: Load, combination: tuple[str, str], tmp_path: Path
) -> None:
    base = load()
    untuned = logits(base.network)
    network = trained(method, base, combination[1])
    method.save(network, tmp_path / "adapter", base)
    assert not list(tmp_path.glob("adapter/*.bin"))
    if combination[0] in OWN_FORMAT:
        assert not list(tmp_path.glob("adapter/*config.json"))
        return
    plain = plainly_loaded(tmp_path / "adapter", base, combination[1])
    assert alike(plain, logits(network))
    assert changed(plain, untuned)


def test_the_artefact_opens_on_a_fresh_base(method: Method, load: Load, peft_task: str, tmp_path: Path) -> None:
    base = load()
    network = trained(method, base, peft_task)
    method.save(network, tmp_path / "adapter", base)
    opened = method.open(load(), tmp_path / "adapter")
    assert not opened.training
    assert count_parameters(opened)[0] == 0
    assert alike(logits(opened), logits(network))


def test_an_artefact_that_is_not_there(method: Method, load: Load, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        method.open(load(), tmp_path)


def test_merging_keeps_the_answers_or_says_why_not(method: Method, load: Load, peft_task: str) -> None:
    base = load()
    network = trained(method, base, peft_task)
    tuned = logits(network)
    if method.unmergeable:
        with pytest.raises(ModelError, match=re.escape(method.unmergeable)):
            method.merge(network)
        return
    merged = method.merge(network)
    assert type(merged) is type(load().network)
    assert alike(logits(merged), tuned)


@pytest.mark.parametrize(("name", "task", "reason"), [(*pair, reason) for pair, reason in REFUSED.items()])
def test_what_does_not_apply_is_refused_with_the_reason(
    name: str, task: str, reason: str, loads: dict[str, Load]
) -> None:
    with pytest.raises(ModelError, match=reason):
        make(name).apply(loads[task](), peft_task=task, total_steps=1)


@dataclass(frozen=True)
class Finding:
    """A line of the table, in words."""

    share: str
    changes: str = "-"
    saves: str = "-"
    loads: str = "-"
    merges: str = "-"


def examine(name: str, task: str, load: Load, folder: Path) -> Finding:
    """Tries a method on a tiny network; its share is that of a real one."""
    method, base = make(name), load()
    try:
        network = method.apply(base, peft_task=task, total_steps=2)
    except ModelError as error:
        return Finding(f"refused: {error.found}")
    before = logits(network)
    for number in (1, 2):
        step(method, network, number)
    after = logits(network)
    method.save(network, folder, base)
    finding = Finding(
        share_of(method, task),
        "yes" if changed(after, before) else "no",
        "yes" if list(folder.glob("*.safetensors")) else "no",
        how_it_loads(name, folder, base, task, after),
    )
    try:
        merged = logits(method.merge(network))
    except ModelError as error:
        return replace(finding, merges=f"no: {error.found}")
    return replace(finding, merges="yes" if alike(merged, after) else "no: it differs")


def how_it_loads(name: str, folder: Path, base: BaseModel, task: str, expected: torch.Tensor) -> str:
    if name in OWN_FORMAT:
        return "no, it is Luthier's own"
    if not alike(plainly_loaded(folder, base, task), expected):
        return "no, it differs"
    if not (folder / "adapter_config.json").exists():
        return "in plain `transformers`: it is a whole model"
    return "yes, with `task_ids` of zeros" if "multitask" in name else "yes"


SHAPES = {
    "CAUSAL_LM": (
        "Decoders",
        "SmolLM2-135M",
        "LlamaForCausalLM",
        {
            "vocab_size": 49152,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "tie_word_embeddings": True,
        },
    ),
    "SEQ_CLS": (
        "Encoders with a new classification head",
        "MiniLM-L6",
        "BertForSequenceClassification",
        {
            "hidden_size": 384,
            "intermediate_size": 1536,
            "num_hidden_layers": 6,
            "num_attention_heads": 12,
            "num_labels": len(LABELS),
        },
    ),
    "SEQ_2_SEQ_LM": (
        "Encoder-decoders",
        "mT5-small",
        "MT5ForConditionalGeneration",
        {
            "vocab_size": 250112,
            "d_model": 512,
            "d_kv": 64,
            "d_ff": 1024,
            "num_layers": 8,
            "num_heads": 6,
            "feed_forward_proj": "gated-gelu",
            "tie_word_embeddings": False,
        },
    ),
}
"""Title, model whose shape it is, class and configuration, by task."""


def share_of(method: Method, task: str) -> str:
    """Share of trained numbers on a network of a real model's shape, without weights."""
    _, _, name, options = SHAPES[task]
    kind = getattr(transformers, name)
    with torch.device("meta"):
        network = kind(kind.config_class(**options))
    device = torch.device("meta")
    architecture = describe(network.requires_grad_(False), network.config)
    files: Any = None
    base = BaseModel(network, None, files, architecture, torch.float32, "", device)
    count, total = count_parameters(method.apply(base, peft_task=task, total_steps=1000))
    return f"{count / total:.3%}".replace("%", " %")


def page(loads: dict[str, Load], folder: Path) -> str:
    lines = [
        "# What every method keeps",
        "",
        "Every registered method is applied with its default options to a tiny Llama, BERT and T5, trained for two",
        "steps, saved, loaded as somebody would who has never heard of Luthier, and merged; the answers are compared.",
        "The share of trained numbers is that of a real model's shape. A method is refused where it has nothing to",
        "train or where `peft` cannot run it, before any training.",
        "",
        "This page is generated by the tests, which also compare it with what they find:",
        "`LUTHIER_WRITE_DOCS=1 python -m pytest tests/methods/test_contract.py -k page`.",
        "",
    ]
    for task, (title, model, *_) in SHAPES.items():
        lines += [f"## {title}", ""]
        lines += [
            f"| method | share trained ({model}) | changes the answers | saves | loads in plain `peft` | merges |"
        ]
        lines += ["|---|---|---|---|---|---|"]
        for name in registry.names("method"):
            found = examine(name, task, loads[task], folder / task / name)
            cells = (f"`{name}`", found.share, found.changes, found.saves, found.loads, found.merges)
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def test_the_page_says_what_is_found(loads: dict[str, Load], tmp_path: Path) -> None:
    found = page(loads, tmp_path)
    if os.environ.get("LUTHIER_WRITE_DOCS"):
        PAGE.write_text(found, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == found, "write it again: see the top of this file"
