"""Which modules of a network are attention and which MLP: a table by family, and derivation for all others.

A name here is the end of a module's dotted path: `q_proj` stands for `model.layers.0.self_attn.q_proj`. Where two names
fit a module, the longer one counts (BERT's `output.dense` is MLP, its `attention.output.dense` is attention).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.errors import ModelError
from luthier.registry import suggest

if TYPE_CHECKING:
    from torch import nn

Names = tuple[str, ...]

_QKVO: Names = ("q_proj", "k_proj", "v_proj", "o_proj")
_QKV_OUT: Names = ("q_proj", "k_proj", "v_proj", "out_proj")
_GATED: Names = ("gate_proj", "up_proj", "down_proj")
_LLAMA = (_QKVO, _GATED)
_GLM = (_QKVO, ("gate_up_proj", "down_proj"))
_GPT2 = (("attn.c_attn", "attn.c_proj"), ("mlp.c_fc", "mlp.c_proj"))
_NEOX = (("attention.query_key_value", "attention.dense"), ("mlp.dense_h_to_4h", "mlp.dense_4h_to_h"))
_BLOOM = (("self_attention.query_key_value", "self_attention.dense"), ("mlp.dense_h_to_4h", "mlp.dense_4h_to_h"))
_BERT = (("query", "key", "value", "attention.output.dense"), ("intermediate.dense", "output.dense"))
_DEBERTA = (("query_proj", "key_proj", "value_proj", "attention.output.dense"), ("intermediate.dense", "output.dense"))
_T5: Names = ("SelfAttention.q", "SelfAttention.k", "SelfAttention.v", "SelfAttention.o")
_T5_CROSS: Names = ("EncDecAttention.q", "EncDecAttention.k", "EncDecAttention.v", "EncDecAttention.o")
_T5_ALL = (_T5 + _T5_CROSS, ("wi", "wi_0", "wi_1", "wo"))
_LONG_T5: Names = tuple(f"{reach}{name}" for reach in ("Local", "TransientGlobal") for name in _T5)
_LONG_T5_ALL = (_T5_ALL[0] + _LONG_T5, _T5_ALL[1])
_BART = (_QKV_OUT, ("fc1", "fc2"))

TABLE: dict[str, tuple[Names, Names]] = {
    **dict.fromkeys(["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gemma3_text"], _LLAMA),
    **dict.fromkeys(
        ["smollm3", "olmo", "olmo2", "olmo3", "granite", "stablelm", "cohere", "internlm", "internlm3"], _LLAMA
    ),
    **dict.fromkeys(["mixtral", "qwen3_moe", "gpt_oss"], (_QKVO, ())),  # their experts are no linear modules
    **dict.fromkeys(["glm", "glm4"], _GLM),
    "chatglm": _BLOOM,
    "phi": (("q_proj", "k_proj", "v_proj", "self_attn.dense"), ("fc1", "fc2")),
    "phi3": (("qkv_proj", "o_proj"), ("gate_up_proj", "down_proj")),
    "internlm2": (("wqkv", "wo"), ("w1", "w3", "w2")),
    "baichuan": (("W_pack", "o_proj"), _GATED),
    "gpt_neox": _NEOX,
    **dict.fromkeys(["bloom", "falcon"], _BLOOM),
    **dict.fromkeys(["gpt2", "gpt_bigcode"], _GPT2),
    "gptj": (_QKV_OUT, ("fc_in", "fc_out")),
    "mpt": (("Wqkv", "out_proj"), ("up_proj", "down_proj")),
    **dict.fromkeys(["opt", "bart", "mbart", "pegasus", "marian", "m2m_100"], _BART),
    **dict.fromkeys(["bert", "roberta", "xlm-roberta", "electra", "camembert"], _BERT),
    "deberta-v2": _DEBERTA,
    "distilbert": (("q_lin", "k_lin", "v_lin", "out_lin"), ("lin1", "lin2")),
    "modernbert": (("Wqkv", "attn.Wo"), ("Wi", "mlp.Wo")),
    **dict.fromkeys(["t5", "mt5", "umt5"], _T5_ALL),
    "longt5": _LONG_T5_ALL,
}
"""Attention and MLP module names by `config.model_type`, in the order in which values pass through them."""

_ATTENTION = re.compile(r"attn|attention", re.IGNORECASE)
_MLP = re.compile(r"mlp|ffn|feed_?forward|expert|moe|dense_?relu_?dense|intermediate", re.IGNORECASE)
_NEITHER = re.compile(r"mamba|ssm|router|conv", re.IGNORECASE)


@dataclass(frozen=True)
class Architecture:
    """What is known of a network's parts.

    Attributes:
        family: `config.model_type`, such as llama.
        attention: ends of the attention modules' paths, in the order in which values pass through them.
        mlp: ends of the MLP modules' paths, likewise; empty when they are no linear modules.
        head: paths of the modules outside the body: the output layer, or a classification head.
        layers: paths of the lists of repeated layers; two for an encoder-decoder.
        outputs: values that the linear layers of a token give, in all repeated layers.
        embeddings: paths of the embedding tables.
    """

    family: str
    attention: Names
    mlp: Names
    head: Names
    layers: Names
    outputs: int
    embeddings: Names


def describe(network: nn.Module, config: Any, new: Sequence[str] = ()) -> Architecture:
    """What is known of a network's parts.

    Args:
        network: a transformers model without adapters.
        config: its configuration.
        new: modules whose weights are not in the checkpoint; they count as head, because they must be trained whole.
    """
    from torch import nn

    linear = _linear(network)
    lists = [name for name, module in network.named_modules() if isinstance(module, nn.ModuleList)]
    outer = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    layers = tuple(name for name in outer if any(module.startswith(f"{name}.") for module in linear))
    inner = [path for path in (_inside(name, layers) for name in linear) if path]
    attention, mlp = TABLE.get(config.model_type, ((), ()))
    known = {name for name in attention + mlp if any(ends(path, name) for path in inner)}
    if not known:
        attention, mlp = _derive(inner)
        known = {*attention, *mlp}
    head = _head(network)
    head += [name for name in new if not any(_within(name, part) for part in head)]
    tables = [name for name, module in network.named_modules() if isinstance(module, nn.Embedding)]
    return Architecture(
        family=config.model_type,
        attention=tuple(name for name in attention if name in known),
        mlp=tuple(name for name in mlp if name in known),
        head=tuple(head),
        layers=layers,
        outputs=sum(widths(network.get_submodule(name))[1] for name in linear if _inside(name, layers)),
        embeddings=tuple(name for name in tables if not _inside(name, layers)),
    )


def widths(module: Any) -> tuple[int, int]:
    """(values a linear layer takes, values it gives) for a token; quantised layers and GPT-2's Conv1D too."""
    if type(module).__name__ == "Conv1D":
        return module.nx, module.nf
    return module.in_features, module.out_features


def linear_layers(network: nn.Module, architecture: Architecture) -> list[Any]:
    """Modules inside the repeated layers that hold a matrix product, those of adapters included."""
    inside = [f".{layer}." for layer in architecture.layers]
    names = [name for name in _linear(network) if any(layer in f".{name}" for layer in inside)]
    return [network.get_submodule(name) for name in names]


def resolve_targets(network: nn.Module, architecture: Architecture, targets: str | Sequence[str]) -> list[str] | str:
    """Turns a choice of modules into what `peft` takes as `target_modules`.

    Args:
        network: the network without adapters.
        architecture: what `describe` says of it.
        targets: `attention`, `mlp`, `all-linear` (all linear modules but the head), a regular expression over whole
            paths, or a list of ends of paths.

    Returns:
        The shortest ends of paths that name these modules and no others; a regular expression as it was.

    Raises:
        ModelError: nothing matches.
    """
    every = [name for name, _ in network.named_modules() if name]
    linear = _linear(network)
    if isinstance(targets, str):
        if targets not in ("attention", "mlp", "all-linear"):
            return _checked_regex(targets, every, linear)
        wanted = _group(linear, architecture, targets)
        if not wanted:
            raise ModelError(
                f"this {architecture.family} network has no linear modules that are {targets}",
                hint=f"targets: all-linear, or a list of {', '.join(_ends_of(linear))}",
            )
        return _shortest(wanted, every)
    for name in targets:
        if not any(ends(path, name) for path in every):
            raise _no_match(name, linear)
    return list(targets)


def _group(linear: Sequence[str], architecture: Architecture, targets: str) -> list[str]:
    if targets == "all-linear":
        return [name for name in linear if not any(_within(name, head) for head in architecture.head)]
    group, other = architecture.attention, architecture.mlp
    if targets == "mlp":
        group, other = other, group
    inner = [name for name in linear if _inside(name, architecture.layers)]
    return [name for name in inner if _longest(name, group) > _longest(name, other)]


def _checked_regex(pattern: str, every: Sequence[str], linear: Sequence[str]) -> str:
    try:
        matches = any(re.fullmatch(pattern, name) for name in every)
    except re.error as error:
        raise ModelError(f"targets: '{pattern}' is not a regular expression: {error}") from error
    if not matches:
        raise _no_match(pattern, linear)
    return pattern


def _no_match(name: str, linear: Sequence[str]) -> ModelError:
    ends = _ends_of(linear)
    if name in ends:
        return ModelError(
            f"targets: no whole path matches '{name}'", hint=f"as the end of paths, write a list: [{name}]"
        )
    near = suggest(name, ends)
    return ModelError(
        f"targets: no module matches '{name}'" + (f"; did you mean '{near}'?" if near else ""),
        expected=f"attention, mlp, all-linear, a list of names, or a regular expression over paths such as {linear[0]}",
        hint=f"this network's linear modules are {', '.join(ends)}",
    )


def _linear(network: nn.Module) -> list[str]:
    """Paths of the modules that hold a matrix product; GPT-2's Conv1D is one with its weight transposed."""
    from torch import nn

    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
    ]


def _head(network: Any) -> list[str]:
    body = getattr(network, getattr(network, "base_model_prefix", ""), None)
    if body is not None and body is not network:
        return [name for name, child in network.named_children() if child is not body and list(child.parameters())]
    output = network.get_output_embeddings()
    return [name for name, module in network.named_modules() if module is output]


def _derive(inner: Sequence[str]) -> tuple[Names, Names]:
    """Attention and MLP by the names of the modules they stand in; what else an attention layer holds is its MLP."""
    attention = [path for path in inner if _ATTENTION.search(path)]
    rest = [path for path in inner if path not in attention]
    mlp = [path for path in rest if _MLP.search(path) or (attention and not _NEITHER.search(path))]
    every = list(dict.fromkeys(inner))
    return tuple(_shortest(attention, every)), tuple(_shortest(mlp, every))


def _inside(name: str, layers: Sequence[str]) -> str:
    """The path of a module inside its layer, such as self_attn.q_proj; empty when it is in none."""
    for prefix in layers:
        if name.startswith(f"{prefix}."):
            return name.removeprefix(f"{prefix}.").partition(".")[2]
    return ""


def ends(path: str, name: str) -> bool:
    """Whether a module's path ends with a name."""
    return path == name or path.endswith(f".{name}")


def _within(path: str, parent: str) -> bool:
    return path == parent or path.startswith(f"{parent}.")


def _longest(path: str, names: Iterable[str]) -> int:
    return max((len(name) for name in names if ends(path, name)), default=0)


def _ends_of(paths: Sequence[str]) -> list[str]:
    return sorted({path.rpartition(".")[2] for path in paths})


def _suffixes(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]


def _shortest(wanted: Sequence[str], every: Sequence[str]) -> list[str]:
    """The shortest ends of paths that fit the wanted modules and none of the others."""
    chosen = set(wanted)
    taken = {suffix for path in every if path not in chosen for suffix in _suffixes(path)}
    ends = (next((suffix for suffix in _suffixes(path) if suffix not in taken), path) for path in wanted)
    return list(dict.fromkeys(ends))
