"""Tiny random models of many families, awkward rows, and their loss and gradients by plain libraries and by the engine.

Shapes: t = tokens of a row, v = vocabulary, k = classes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from luthier import registry
from luthier.data.records import TokenSequence
from luthier.tasks import Task
from luthier.tasks.causal_lm import CausalLm
from luthier.tasks.sequence_classification import SequenceClassification
from luthier.tasks.token_classification import TokenClassification
from luthier.training.fast.engine import FastEngine

VOCABULARY, WIDTH, INNER, LAYERS, HEADS, GROUPS, PAD, CLASSES = 97, 32, 48, 2, 4, 2, 1, ("up", "down", "flat")

COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "pad_token_id": PAD,
    "bos_token_id": 2,
    "eos_token_id": 2,
}
GROUPED = COMMON | {"num_key_value_heads": GROUPS}
HEADED = GROUPED | {"head_dim": 8}
MIXED = ["sliding_attention", "full_attention"]
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "hidden_dropout": 0.0}
GPT2 = {"n_embd": WIDTH, "n_inner": INNER, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 128}

FAMILIES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", GROUPED),
    "qwen2": ("qwen2", GROUPED),
    "qwen3": ("qwen3", HEADED),
    "gemma": ("gemma", HEADED | {"hidden_activation": "gelu_pytorch_tanh"}),
    "gemma2": (
        "gemma2",
        HEADED
        | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0, "sliding_window": 5, "layer_types": MIXED},
    ),
    "gemma3": ("gemma3_text", HEADED | {"sliding_window": 5, "layer_types": MIXED}),
    "mistral": ("mistral", GROUPED | {"sliding_window": 5}),
    "gpt_neox": ("gpt_neox", COMMON),
    "gpt2": ("gpt2", COMMON | GPT2 | {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}),
    "opt": ("opt", COMMON | {"ffn_dim": INNER, "word_embed_proj_dim": WIDTH, "dropout": 0.0, "init_std": 0.2}),
    "phi": ("phi", COMMON),
    "smollm3": ("smollm3", GROUPED | {"no_rope_layers": [1, 0]}),
    "bert": ("bert", COMMON | STILL),
    "roberta": ("roberta", COMMON | STILL),
    "modernbert": (
        "modernbert",
        COMMON
        | {
            "local_attention": 6,
            "cls_token_id": 2,
            "sep_token_id": 2,
            "layer_types": MIXED,
            "classifier_pooling": "cls",
        },
    ),
}
ENCODERS = ("bert", "roberta", "modernbert")

Gradients = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Result:
    """Summed loss, and the gradient of every trained tensor by name."""

    loss: float
    gradients: Gradients

    def errors(self, truth: Result) -> dict[str, float]:
        """Relative error of the loss ("loss") and, by norm, of every gradient."""
        assert self.gradients.keys() == truth.gradients.keys()
        found = {"loss": abs(self.loss - truth.loss) / abs(truth.loss)}
        for name, expected in truth.gradients.items():
            scale = float(expected.double().norm())
            difference = float((self.gradients[name].double() - expected.double()).norm())
            found[name] = difference / scale if scale else difference
        return found


TASKS: Mapping[str, tuple[Any, str]] = {
    "AutoModelForCausalLM": (CausalLm, "CAUSAL_LM"),
    "AutoModelForSequenceClassification": (SequenceClassification, "SEQ_CLS"),
    "AutoModelForTokenClassification": (TokenClassification, "TOKEN_CLS"),
}
"""The task of each kind of network, and what `peft` calls it."""


def _kind(network: Any) -> tuple[Any, str]:
    whole = network.get_base_model() if hasattr(network, "get_base_model") else network
    heads = ("SequenceClassification", "TokenClassification")
    head = next((head for head in heads if head in type(whole).__name__), "CausalLM")
    return TASKS[f"AutoModelFor{head}"]


def _build(family: str, *, classify: bool, tag: bool, seed: int, **changes: Any) -> Any:
    import transformers

    name, options = FAMILIES[family]
    loader = getattr(transformers, list(TASKS)[2 if tag else 1 if classify else 0])
    labels = {"num_labels": len(CLASSES)} if classify or tag else {}
    config = transformers.AutoConfig.for_model(name, **(options | labels | changes))
    torch.manual_seed(seed)
    network = loader.from_config(config)
    for parameter in network.parameters():
        if parameter.ndim == 1:  # norms of one and biases of zero would hide mistakes
            nn.init.normal_(parameter, float(parameter.detach().mean()), 0.2)
    return network.requires_grad_(False).eval()


@pytest.fixture(scope="session")
def families() -> Callable[..., Any]:
    """`families(name, classify=False, tag=False, **configuration)`: a tiny random network, frozen, without adapter."""

    def build(family: str, *, classify: bool = False, tag: bool = False, seed: int = 0, **changes: Any) -> Any:
        return _build(family, classify=classify or family in ENCODERS, tag=tag, seed=seed, **changes)

    return build


@pytest.fixture(scope="session")
def adapted() -> Callable[..., Any]:
    """`adapted(network, **LoraConfig)`: with LoRA of rank 4 on all linear layers, and B away from zero."""

    def adapt(network: Any, **options: Any) -> Any:
        from peft import LoraConfig, get_peft_model

        _, kind = _kind(network)
        conv = any(type(module).__name__ == "Conv1D" for module in network.modules())
        made = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "fan_in_fan_out": conv, "task_type": kind}
        if kind == "TOKEN_CLS":  # peft leaves the head of a classifier out by itself, but not that of a tagger
            made["exclude_modules"] = ["score", "classifier"]
        tuned = get_peft_model(network, LoraConfig(**(made | options)))
        generator = torch.Generator().manual_seed(1)
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name or "lora_embedding_A" in name:
                parameter.data.normal_(0.0, 0.1, generator=generator)
        return tuned.train()

    return adapt


@pytest.fixture(scope="session")
def tiny(families: Callable[..., Any], adapted: Callable[..., Any]) -> Callable[..., Any]:
    """`tiny(family, classify=False, tag=False, configuration={}, **LoraConfig)`: a tiny random network with LoRA."""

    def make(
        family: str, *, classify: bool = False, tag: bool = False, configuration: Any = None, **options: Any
    ) -> Any:
        return adapted(families(family, classify=classify, tag=tag, **(configuration or {})), **options)

    return make


@pytest.fixture(scope="session")
def prompted(families: Callable[..., Any]) -> Callable[..., Any]:
    """`prompted(family, method, tokens=3, configuration={}, **options)`: a tiny network with virtual tokens."""

    def make(family: str, method: str, *, tokens: int = 3, configuration: Any = None, **options: Any) -> Any:
        from peft import get_peft_model

        network = families(family, **(configuration or {}))
        kind = registry.load("method", method)
        made = kind(kind.Options(tokens=tokens, **options))
        torch.manual_seed(1)
        about = SimpleNamespace(network=network, architecture=SimpleNamespace(head=()))
        tuned = get_peft_model(network, made.peft_config(about, peft_task="CAUSAL_LM", total_steps=1))
        made.watch(tuned)
        return tuned.train()

    return make


# -- rows ------------------------------------------------------------------------------------------------------------


def _row(ids: Sequence[int], learned: Iterable[int], number: int) -> TokenSequence:
    """A row whose tokens at these places are learned."""
    places = {place % len(ids) for place in learned}
    supervised = [place in places for place in range(len(ids))]
    return TokenSequence(list(ids), supervised, 1, number, label=CLASSES[number % len(CLASSES)])


@pytest.fixture(scope="session")
def row() -> Callable[..., TokenSequence]:
    """`row(ids, learned places, number)`."""
    return _row


@pytest.fixture(scope="session")
def words() -> Callable[..., list[int]]:
    """`words(count, seed)`: random token ids, none of them special."""

    def draw(count: int, seed: int) -> list[int]:
        return torch.randint(3, VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed)).tolist()

    return draw


@pytest.fixture(scope="session")
def awkward(words: Callable[..., list[int]]) -> list[TokenSequence]:
    """Rows with nested beginnings, twins, a row that is the beginning of another, and one token to learn or many.

    The rows of the instruction I begin alike with 12 tokens, some of them with 10 more; some learn tokens inside.
    """
    instruction, example = words(12, 1), words(10, 2)
    nested = instruction + example
    made = [
        (nested + words(7, 3), range(24, 29)),
        (nested + words(3, 4), [-1]),
        (instruction + words(9, 5), [3, 4, 5, 14, 15]),
        (instruction, [5, 6, 11]),
        (nested + words(3, 4), [-1]),
        (words(23, 6), range(1, 23)),
        (words(2, 7), [1]),
        (nested + words(3, 4) + words(4, 8), [1, 21, 22, 25, 28]),
    ]
    return [_row(ids, learned, number) for number, (ids, learned) in enumerate(made)]


@pytest.fixture(scope="session")
def tagged(awkward: list[TokenSequence]) -> list[TokenSequence]:
    """The same rows with a tag for each token that is learned."""
    tags = cycle(CLASSES)
    return [replace(row, label=" ".join(islice(tags, row.supervised_count))) for row in awkward]


# -- the engine ------------------------------------------------------------------------------------------------------


def _task(network: Any) -> Task:
    task, _ = _kind(network)
    return task(task.Options())  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def task_of() -> Callable[[Any], Task]:
    """The task of a network."""
    return _task


@pytest.fixture(scope="session")
def engine_of(awkward: list[TokenSequence]) -> Callable[..., FastEngine]:
    """`engine_of(network, share=None, **FastEngine's arguments)`; `share` overrides what the trial found."""

    def make(network: Any, *, share: bool | None = None, **options: Any) -> FastEngine:
        defaults: dict[str, Any] = {
            "pad_id": PAD,
            "labels": CLASSES,
            "micro_batch": None,
            "memory": "balanced",
            "device": _device(network),
            "examples": awkward,
            "dtype": next(network.parameters()).dtype,
        }
        engine = FastEngine(network, options.pop("task", None) or _task(network), **(defaults | options))
        if share is not None:
            assert engine.share or not share
            engine.share = share
        return engine

    return make


def _result(network: nn.Module, losses: Iterable[torch.Tensor]) -> Result:
    network.zero_grad()
    total = 0.0
    for loss in losses:
        loss.backward()
        total += float(loss.detach())
    found = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    return Result(total, found)


@pytest.fixture(scope="session")
def result_of() -> Callable[[nn.Module, Iterable[torch.Tensor]], Result]:
    """`result_of(network, losses)`: their sum and its gradients."""
    return _result


def _fast(engine: FastEngine, rows: Sequence[TokenSequence]) -> Result:
    with engine.running():
        return _result(engine.parts.network, (engine.loss(batch) for batch in engine.batches(rows)))


@pytest.fixture(scope="session")
def fast() -> Callable[[FastEngine, Sequence[TokenSequence]], Result]:
    """Loss and gradients of rows by the engine."""
    return _fast


# -- plain libraries -------------------------------------------------------------------------------------------------


class _Wide(TorchFunctionMode):
    """Computes in float64 where a model asks for float32: norms, rotations, softmax."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.Tensor.float:
            function = torch.Tensor.double
        return function(*map(_widened, args), **{key: _widened(value) for key, value in (kwargs or {}).items()})


def _widened(value: Any) -> Any:
    return torch.float64 if isinstance(value, torch.dtype) and value.is_floating_point else value


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _row_loss(logits: torch.Tensor, row: TokenSequence) -> torch.Tensor:
    """Of logits [t, v] of a language model, [k] of a classifier or [t, k] of a tagger; softmax in float32 at least."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    if logits.ndim == 1:
        target = torch.tensor([CLASSES.index(str(row.label))], device=logits.device)
        return nn.functional.cross_entropy(logits[None], target, reduction="sum")
    if logits.shape[1] == len(CLASSES):
        tags = torch.tensor([CLASSES.index(tag) for tag in str(row.label).split()], device=logits.device)
        first = torch.tensor(row.supervised, device=logits.device)
        return nn.functional.cross_entropy(logits[: len(row.ids)][first], tags, reduction="sum")
    learned = torch.tensor(row.supervised[1:], dtype=torch.bool, device=logits.device)
    targets = torch.tensor(row.ids[1:], dtype=torch.int64, device=logits.device)[learned]
    return nn.functional.cross_entropy(logits[: len(row.ids) - 1][learned], targets, reduction="sum")


def _alone(network: Any, rows: Sequence[TokenSequence]) -> Iterable[torch.Tensor]:
    for row in rows:
        yield _row_loss(network(input_ids=torch.tensor([row.ids], device=_device(network))).logits[0], row)


def _padded(network: Any, rows: Sequence[TokenSequence]) -> Iterable[torch.Tensor]:
    longest = max(len(row.ids) for row in rows)
    ids = torch.tensor([[*row.ids, *[PAD] * (longest - len(row.ids))] for row in rows], device=_device(network))
    mask = torch.tensor([[1] * len(row.ids) + [0] * (longest - len(row.ids)) for row in rows])
    logits = network(input_ids=ids, attention_mask=mask.to(ids.device)).logits
    yield torch.stack([_row_loss(logits[index], row) for index, row in enumerate(rows)]).sum()


@pytest.fixture(scope="session")
def plain() -> Callable[..., Result]:
    """`plain(network, rows, padded=False)`: loss and gradients by transformers, peft and torch alone."""

    def compute(network: Any, rows: Sequence[TokenSequence], *, padded: bool = False) -> Result:
        return _result(network, (_padded if padded else _alone)(network, rows))

    return compute


@pytest.fixture(scope="session")
def oracle() -> Callable[[Any, Sequence[TokenSequence]], Result]:
    """The same, one row at a time, in float64."""

    def compute(network: Any, rows: Sequence[TokenSequence]) -> Result:
        wide = copy.deepcopy(network).double()
        with _Wide():
            return _result(wide, _alone(wide, rows))

    return compute


# -- comparison ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def assert_exact(
    plain: Callable[..., Result], oracle: Callable[..., Result], fast: Callable[..., Result]
) -> Callable[..., Result]:
    """`assert_exact(engine, rows, limit=1e-5)`: the engine's loss and every gradient are those of plain libraries.

    Both with one row at a time and padded. Where float32 itself is not as exact as the limit, the engine may be as far
    from float64 as three times what plain libraries are: in the same gradient, or a tenth of that in their worst one,
    since rounding strikes now one gradient, now another.
    """

    def check(engine: FastEngine, rows: Sequence[TokenSequence], limit: float = 1e-5) -> Result:
        found = _fast(engine, rows)
        references = [plain(engine.parts.network, rows), plain(engine.parts.network, rows, padded=True)]
        assert math.isfinite(found.loss)
        assert all(bool(gradient.any()) for gradient in references[0].gradients.values()), "nothing is tested by zeros"
        far = {name for reference in references for name, e in found.errors(reference).items() if not e <= limit}
        if far:
            truth = oracle(engine.parts.network, rows)
            allowed = [reference.errors(truth) for reference in references]
            errors = found.errors(truth)
            least = max(max(a.values()) for a in allowed) / 10
            bars = {n: 3 * max(least, *(a[n] for a in allowed)) for n in far}
            worse = {n: (errors[n], [a[n] for a in allowed]) for n in far if errors[n] > bars[n]}
            assert not worse, f"(error of the engine, errors of plain libraries) against float64: {worse}"
        return found

    return check
