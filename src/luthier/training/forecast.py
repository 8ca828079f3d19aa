"""`luthier plan --on DEVICE`: whether a run fits a device that is not here, and how long it takes there.

Estimated from shapes, published facts and the run's own data, whose lengths decide; nothing is measured. Sizes are
those of `luthier.training.sizes`: L layers of hidden size h, whose linear layers give o outputs a token in all, and s
bytes a value.

Memory, for n tokens in the largest micro-batch: weights take s bytes a frozen one; trained weights, activations and the
pieces that the allocator holds besides are those of `luthier.training.memory`. Then there are

- working memory: the gradients of one layer's activations, 2 o s n / L.
- logits: 2 s + 12 bytes for each supervised token and word of the vocabulary (logits, their copy, log-softmax and
  gradients in float32); the fast engine has at most 32 million at once.
- framework: a CUDA context, or the process with its libraries.

Time: a frozen weight of a linear layer costs 4 operations a token (forward, and the gradient of its input), a trained
one 6; the output layer the same, for supervised tokens; attention 6 L h t^2 for a row of t tokens, twice that where
tokens see both sides; `low` computes forward twice. A preference is two rows, and the base answers them too: one more
forward pass of the frozen weights. Virtual tokens go through the layers like any others. All divided by the device's
rate times `UTILISATION`; but never less than reading the frozen weights in every pass over a micro-batch takes at the
memory's bandwidth, nor than starting the kernels of its layers takes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from luthier.errors import ConfigError
from luthier.methods import Method
from luthier.models.base import Head
from luthier.models.loading import COMPUTES
from luthier.models.soft_prompts import tokens_in_front
from luthier.training.devices import Device
from luthier.training.memory import ROOM, pieces, trained_bytes
from luthier.training.session import Materials
from luthier.training.sizes import Sizes, tuned_without_weights
from luthier.training.work import Work, count_work

if TYPE_CHECKING:
    from torch import nn

UTILISATION = 0.4
"""Share of the published rate that training is taken to reach."""

FRAMEWORK_MB = 600.0
"""A CUDA context with its kernels; on a CPU the process with torch and transformers (570 MB were measured)."""

LAUNCH_SECONDS = {"cuda": 1e-3, "mps": 1e-3, "cpu": 0.0}
"""Starting the kernels of a layer, forward and backward, takes at least so long, whatever they compute."""


@dataclass(frozen=True)
class Forecast:
    """What a run is expected to need on a device it was never seen on.

    Attributes:
        device: its published facts.
        memory: level of `training.memory`; `auto` is balanced where that fits, else low.
        tokens: real ones, in all steps.
        computed: tokens that go through the layers: padding counts, a shared beginning counts once.
        memory_mb: by part, for the largest micro-batch of the run as configured, and in all.
        room_mb: what may be filled: `ROOM` of the device's memory.
        fits: whether it does.
        micro_batch: (rows, computed tokens) of that micro-batch.
        most_rows: rows as long as the longest that fit at once, at most a whole step; 0 = not even one.
        training_hours: all optimiser steps, without evaluation.
        bound: what takes the time: computation, memory bandwidth or starting kernels.
        assumptions: what was taken for granted, in words.
    """

    name: str
    device: dict[str, Any]
    engine: str
    memory: str
    dtype: str
    dtype_reason: str
    parameters: int
    trainable: int
    steps: int
    batch_size: int
    tokens: int
    computed: int
    longest: int
    memory_mb: dict[str, float]
    room_mb: float
    fits: bool
    micro_batch: tuple[int, int]
    most_rows: int
    training_hours: float
    bound: str
    assumptions: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The forecast as plain values."""
        return asdict(self) | {"measured": False}


def make_forecast(materials: Materials, device: Device) -> Forecast:
    """Estimates a run on a device; no weight is loaded.

    Args:
        materials: from `Materials.gather`: the rows as tokens.
        device: from `luthier.training.devices`.

    Raises:
        ConfigError: the device does not compute in `model.dtype`.
        ModelError: the network cannot be built without its weights, or the engine asked for does not support the run.
    """
    import torch

    config, rows = materials.config, materials.prepared.train
    dtype, reason = _dtype_there(config.model.dtype, device, materials.method)
    base, network = tuned_without_weights(materials, getattr(torch, dtype))
    sizes = Sizes.of(base, network, materials.task.head)
    level = "balanced" if config.training.memory == "auto" else config.training.memory
    fast, share, refusal = _fast_engine(materials, network, level)
    share, virtual = share and sizes.causal, tokens_in_front(network)
    work = count_work(config, materials.prepared, fast=fast, share=share, virtual=virtual)
    room = ROOM * device.memory_gb * 1e3
    tokens, supervised, count = work.largest
    case = Case(sizes, device, fast, level, trained_bytes(config.training.optimizer))
    if config.training.memory == "auto" and case.memory_mb(tokens, supervised)["all"] > room:
        case = replace(case, level="low")
    memory, seconds = case.memory_mb(tokens, supervised), case.seconds(work)
    bound = max(seconds, key=lambda limit: seconds[limit])
    return Forecast(
        name=config.name,
        device=device.to_dict(),
        engine="fast" if fast else "reference",
        memory=case.level,
        dtype=dtype,
        dtype_reason=reason,
        parameters=sizes.parameters,
        trainable=sizes.trainable,
        steps=work.steps,
        batch_size=config.training.batch_size,
        tokens=work.tokens,
        computed=work.computed,
        longest=int(max(rows.lengths)),
        memory_mb=memory,
        room_mb=room,
        fits=memory["all"] <= room,
        micro_batch=(count, tokens),
        most_rows=case.most_rows(config.training.batch_size, *work.longest, room),
        training_hours=seconds[bound] / 3600,
        bound=bound,
        assumptions=_assumptions(device, fast, refusal, materials.task.head),
    )


def _fast_engine(materials: Materials, network: nn.Module, level: str) -> tuple[bool, bool, str]:
    """(whether the fast engine runs, whether rows may share beginnings in it, why it does not support the run).

    Raises:
        ModelError: it was asked for and does not support the run.
    """
    from luthier.training.fast.engine import taken_apart, unsupported

    wanted = materials.config.training.engine
    if wanted == "reference":
        return False, False, ""
    try:
        parts, _ = taken_apart(network, materials.task, level)
    except NotImplementedError as error:
        if wanted == "fast":
            raise unsupported(error) from error
        return False, False, str(error)
    return True, not parts.draws, ""


def _dtype_there(wanted: str, device: Device, method: Method) -> tuple[str, str]:
    if method.dtype:
        return method.dtype, COMPUTES
    dtype, reason = device.dtype if wanted == "auto" else (wanted, "as configured")
    if dtype not in device.tflops:
        raise ConfigError(
            f"{device.title} does not compute in {dtype}",
            where="model.dtype",
            expected=f"auto or {' or '.join(device.tflops)}",
        )
    return dtype, reason


@dataclass(frozen=True)
class Case:
    """A network on a device; the formulas stand at the top of this file.

    Attributes:
        fast: the fast engine, or the reference engine.
        level: low, balanced or fast, as in `training.memory`.
        trained_bytes: bytes of a trained weight, its gradient and its share of the optimiser's state.
    """

    sizes: Sizes
    device: Device
    fast: bool
    level: str
    trained_bytes: float

    def memory_mb(self, tokens: int, supervised: int) -> dict[str, float]:
        """Memory by part and in all, in MB.

        Args:
            tokens: computed tokens of a micro-batch.
            supervised: those of them that are learned.
        """
        from luthier.training.fast.output import CHUNK_NUMBERS

        sizes, layers, s = self.sizes, self.sizes.layers, self.sizes.layers.value_bytes
        logits = supervised * sizes.vocabulary
        kept = tokens * layers.kept_bytes(self.level, fast=self.fast)
        values = {
            "frozen weights": sizes.frozen_bytes,
            "trained weights, gradients, optimiser": self.trained_bytes * sizes.trainable,
            "activations": kept,
            "working memory": tokens * 2 * s * layers.outputs / layers.count,
            "logits": (min(logits, CHUNK_NUMBERS) if self.fast else logits) * (2 * s + 12),
            "pieces": pieces(self.device.kind, fast=self.fast) * kept,
        }
        parts = {name: round(value / 1e6, 1) for name, value in values.items()} | {"framework": FRAMEWORK_MB}
        return parts | {"all": round(sum(parts.values()), 1)}

    def most_rows(self, batch_size: int, tokens: int, supervised: int, room: float) -> int:
        """Most rows of so many tokens that fit at once, up to a whole step."""
        sizes = range(batch_size, 0, -1)
        return next((n for n in sizes if self.memory_mb(n * tokens, n * supervised)["all"] <= room), 0)

    def seconds(self, work: Work) -> dict[str, float]:
        """Seconds of all steps by what limits them; the largest counts."""
        sizes, again, base = self.sizes, 2 if self.level == "low" else 0, 2 if work.compared else 0
        products = work.computed * ((4 + again + base) * sizes.frozen_products + (6 + again) * sizes.trained_products)
        output = (4 + base) * work.supervised * sizes.vocabulary * sizes.layers.hidden
        causal = (6 + base) * sizes.layers.count * sizes.layers.hidden * work.squares
        rate = self.device.tflops[sizes.dtype] * 1e12 * UTILISATION
        passes = work.micro_batches * (3 if work.compared else 2)
        return {
            "computation": (products + output + (causal if sizes.causal else 2 * causal)) / rate,
            "memory bandwidth": passes * sizes.frozen_bytes / (self.device.bandwidth_gb_s * 1e9),
            "starting kernels": passes / 2 * sizes.layers.count * LAUNCH_SECONDS[self.device.kind],
        }


def _assumptions(device: Device, fast: bool, refusal: str, head: Head) -> list[str]:
    context = "the process with its libraries" if device.kind == "cpu" else "the device's context and kernels"
    engine = ["the fast engine is taken to support this network: that is tried where it runs"] if fast else []
    engine += [f"the fast engine does not support this run: {refusal}"] if refusal else []
    two_parts = head == "seq2seq_lm"
    engine += ["every token is taken to go through encoder and decoder: it will be less"] if two_parts else []
    return [
        f"estimate: nothing was measured on this device; its facts are from: {device.source}",
        f"{UTILISATION:.0%} of the published rate is reached; evaluation is not in the time",
        f"{FRAMEWORK_MB / 1e3:g} GB for {context}; a run fits when it fills at most {ROOM:.0%} of the memory",
        *engine,
    ]
