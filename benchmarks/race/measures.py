"""The numbers of the page: medians of rates, what a workload's tokens cost, and how results of several calls merge.

Floating-point operations of a training step, counted as the work that the loss needs when nothing is shared or padded:

    6 * L        for every real token and LoRA weight: forward, and gradients of its input and of itself
    4 * W        for every real token and weight of the frozen linear layers: forward, and gradient of its input
    4 * d * v    for every supervised token of a language model: the output layer, d wide with v words
    12 * a * p   for every layer: attention, a = heads * head size wide, over p pairs of positions that see each other:
                 n * (n + 1) / 2 in a causal row of n tokens, n * n in a row of an encoder

Sharing a prefix saves some of this, so the share of the matrix rate that a contestant reaches may pass 100 %. What is
left when every common beginning of a micro-batch is computed once, and the last layer gives nothing but keys and values
where the loss reads nothing, sets the ceiling: nobody who computes each product at the machine's rate, and does nothing
else, is faster.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from statistics import median, quantiles
from typing import Any

Record = dict[str, Any]


KEYS_AND_VALUES = ("k_proj", "v_proj", "key", "value")
"""What linear layers are called that the last layer needs for every token."""


@dataclass(frozen=True)
class Shape:
    """What of a network decides the cost of a step.

    Attributes:
        frozen: weights of the adapted linear layers.
        lora: weights of the adapter.
        last_frozen, last_lora: those of them in the last layer that are needed only where its output is read.
        hidden: width of the hidden state.
        vocabulary: words of the output layer, 0 for a classifier.
        attention: heads times head size.
        layers: number of layers.
        causal: whether a position sees only what stands before it.
    """

    frozen: int
    lora: int
    last_frozen: int
    last_lora: int
    hidden: int
    vocabulary: int
    attention: int
    layers: int
    causal: bool


def shape_of(folder: Path, targets: Sequence[str], rank: int, task: str) -> Shape:
    """Reads a network's shape from its configuration and the header of its weights."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    sizes = {
        name: shape
        for name, shape in _weights(folder / "model.safetensors").items()
        if len(shape) == 2 and name.split(".")[-2] in targets
    }
    last = [
        shape
        for name, shape in sizes.items()
        if f".{config['num_hidden_layers'] - 1}." in name and name.split(".")[-2] not in KEYS_AND_VALUES
    ]
    heads = config["num_attention_heads"]
    causal = task == "causal_lm"
    return Shape(
        frozen=sum(rows * columns for rows, columns in sizes.values()),
        lora=rank * sum(rows + columns for rows, columns in sizes.values()),
        last_frozen=sum(rows * columns for rows, columns in last),
        last_lora=rank * sum(rows + columns for rows, columns in last),
        hidden=config["hidden_size"],
        vocabulary=config["vocab_size"] if causal else 0,
        attention=heads * (config.get("head_dim") or config["hidden_size"] // heads),
        layers=config["num_hidden_layers"],
        causal=causal,
    )


def _weights(file: Path) -> dict[str, list[int]]:
    """Shapes by name: a safetensors file begins with the length of a JSON header."""
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        header = json.loads(opened.read(length))
    return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}


def operations(shape: Shape, tokens: int, pairs: float, supervised: int, *, unread: int = 0) -> float:
    """Floating-point operations of training once on so many tokens that see so many others; see the formula above. At
    `unread` tokens the last layer gives keys and values only.
    """
    return (
        tokens * (4 * shape.frozen + 6 * shape.lora)
        - unread * (4 * shape.last_frozen + 6 * shape.last_lora)
        + 4 * supervised * shape.hidden * shape.vocabulary
        + 12 * shape.layers * shape.attention * pairs
    )


def seen(lengths: Sequence[int], *, causal: bool) -> float:
    """Pairs of positions that see each other in rows of these lengths."""
    return sum(n * (n + 1) / 2 if causal else n * n for n in lengths)


def computed_once(steps: Iterable[Sequence[Sequence[int]]]) -> tuple[int, float]:
    """(tokens, pairs) of causal rows when what rows of a micro-batch begin with is computed once, as the fast engine
    cuts and lays out the rows of each optimiser step.
    """
    from luthier.training.fast.batch import cut
    from luthier.training.fast.layout import lay_out

    tokens, pairs = 0, 0
    for rows in steps:
        for chosen in cut(rows, share=True):
            positions_t = lay_out([rows[index] for index in chosen], share=True).positions_t
            tokens += len(positions_t)
            pairs += int((positions_t + 1).sum())
    return tokens, pairs


def workload_record(rows: Sequence[Record], about: Record) -> Record:
    """What a workload's rows hold: counted once, the same for every contestant."""
    counted = [row for row in rows if row["step"] > 1]  # the first step warms up
    lengths = [len(row["ids"]) for row in counted]
    supervised = sum(sum(row["supervised"]) if "supervised" in row else 1 for row in counted)
    shape = shape_of(Path(about["base"]), about["targets"], about["rank"], about["task"])
    whole = sum(lengths), seen(lengths, causal=shape.causal)
    steps = [[row["ids"] for row in step] for _, step in groupby(counted, key=itemgetter("step"))]
    least = computed_once(steps) if shape.causal else whole
    return {
        "steps": about["steps"],
        "rows": len(counted),
        "tokens": sum(lengths),
        "supervised": supervised,
        "longest": max(lengths),
        "gflop": operations(shape, *whole, supervised) / 1e9,
        "least_gflop": operations(shape, *least, supervised, unread=max(least[0] - supervised, 0)) / 1e9,
    }


def counted_seconds(result: Record, tokens: int) -> float:
    """Seconds of a process's steps after the first, which warms up.

    A peer that groups rows by length takes them in an order of its own, so the rows of its first step are not the
    others'; its time is then scaled to the tokens that the others' counted steps hold.

    Args:
        result: what a worker wrote.
        tokens: real tokens of the steps after the first, in the order of the rows.
    """
    seconds: float = sum(result["seconds"][1:])
    seen = result.get("tokens_seen") or [0]
    trained = seen[-1] - seen[0]
    return seconds * tokens / trained if trained else seconds


def rates(ran: Sequence[tuple[Record, Record]], matrix_rate: float) -> Record:
    """Medians over the processes of one contestant.

    Args:
        ran: for each process what its steps held, from `workload_record`, and what its worker wrote, all of them well.
        matrix_rate: GFLOP/s of the machine.
    """
    timed = [(held, counted_seconds(result, held["tokens"])) for held, result in ran]
    results = [result for _, result in ran]
    return {
        **{per: median(held[per] / seconds for held, seconds in timed) for per in ("rows", "tokens", "supervised")},
        "memory_mb": median(result["peak_memory_mb"] for result in results),
        "saved_after": median(result["saved_after"] for result in results),
        "share": median(held["gflop"] / seconds / matrix_rate for held, seconds in timed),
        "first_loss": results[0]["losses"][0],
    }


def times_faster(pairs: Sequence[Record]) -> Record:
    """How many times as fast as its opponent the fast engine was: `times`, and how far the steps spread around it.

    Every pair took its steps in turn, so both had the same machine, however fast that was at the time.

    Args:
        pairs: results as {"held": from `workload_record`, "fast": ..., "other": ...}.
    """
    wholes = [
        counted_seconds(pair["other"], pair["held"]["tokens"]) / counted_seconds(pair["fast"], pair["held"]["tokens"])
        for pair in pairs
    ]
    steps = [
        other / fast
        for pair in pairs
        for other, fast in zip(pair["other"]["seconds"][1:], pair["fast"]["seconds"][1:], strict=True)
    ]
    return {"times": median(wholes), "spread": _spread(steps)}


def _spread(values: Sequence[float]) -> float:
    """Half the distance between the quartiles, as a share of the median."""
    if len(values) < 2:
        return 0.0
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / middle


def ceiling(held: Record, peer: Record, matrix_rate: float) -> float:
    """How many times as fast as a peer the machine could be at most, if it did nothing but the products that are left
    when nothing is computed twice or for nobody, each at `matrix_rate` GFLOP/s.

    Args:
        held: from `workload_record`.
        peer: from `rates`.
        matrix_rate: GFLOP/s of the machine.
    """
    seconds: float = held["rows"] / peer["rows"]
    return seconds * matrix_rate / float(held["least_gflop"])


def best_peer(found: dict[str, Record], peers: Sequence[str]) -> str | None:
    """The peer that came nearest to the fast engine."""
    ran = [name for name in peers if name in found]
    return min(ran, key=lambda name: found[name]["times"]) if ran else None


def same_loss(loss: float, reference: float, dtype: str) -> bool:
    """Whether a first loss is of the same tokens: to 1e-3 in float32; bfloat16 may round it by 5 %."""
    return abs(loss - reference) <= (1e-3 if dtype == "float32" else 5e-2) * max(1.0, abs(reference))


def merged(before: Sequence[Record], new: Sequence[Record]) -> list[Record]:
    """Earlier pairs and new ones; new ones take the place of all of the same workload, contestant and ablation."""

    def key(pair: Record) -> tuple[str, str, str]:
        return pair["workload"], pair["contestant"], pair["ablate"] or ""

    replaced = {key(pair) for pair in new}
    return sorted([pair for pair in before if key(pair) not in replaced] + list(new), key=key)
