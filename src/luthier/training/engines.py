"""The engines that compute the loss of a step: the plain one, and the choice between it and the fast one.

Both give the same loss and gradients; only `Engine` is known to the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from luthier.data.records import Batch, TokenSequence
from luthier.methods import count_parameters, frozen_bytes
from luthier.models.compute import free_memory
from luthier.models.inference import TOKENS_AT_ONCE as PADDED_TOKENS
from luthier.training.memory import ROOM, Layers, pieces, trained_bytes
from luthier.training.order import micro_batches

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.models.base import BaseModel
    from luthier.training.session import Materials

TRIAL_ROWS = 16
"""Training rows the fast engine's trial takes its short rows from."""


class MicroBatch(Protocol):
    """Rows that are computed at once."""

    @property
    def batch(self) -> Batch:
        """The rows as their task made them."""

    @property
    def computed(self) -> int:
        """Tokens that go through the layers: padding counts, a shared beginning counts once."""


class Engine(Protocol):
    """Computes losses.

    Attributes:
        name: reference or fast.
        notes: what it does not do in this run, and why.
    """

    name: str
    notes: list[str]

    def begin(self, rows: Sequence[TokenSequence], *, tokens: int, passes: float) -> None:
        """Prepares what pays over a whole run.

        Args:
            rows: those to be trained on.
            tokens: how many tokens the whole run's rows have.
            passes: how often each row will be seen.
        """
        ...

    def batches(self, rows: Sequence[TokenSequence]) -> Sequence[Any]:
        """The rows of a step as micro-batches."""
        ...

    def running(self) -> AbstractContextManager[None]:
        """Forward and backward passes belong inside."""
        ...

    def loss(self, batch: Any) -> torch.Tensor:
        """Summed loss of a micro-batch."""
        ...


@dataclass(frozen=True)
class Padded:
    """A micro-batch of the reference engine."""

    batch: Batch

    @property
    def computed(self) -> int:
        """Real tokens and padding."""
        return self.batch.input_ids_bt.numel()


class ReferenceEngine:
    """The model as it is, on padded rows of similar length."""

    name = "reference"

    def __init__(self, network: nn.Module, materials: Materials, device: torch.device, memory: str) -> None:
        self.network, self.task, self.device = network, materials.task, device
        self.pad_id, self.labels = materials.tokenizer.pad_token_id, materials.renderer.labels
        self.micro_batch = materials.config.training.micro_batch
        self.notes: list[str] = []
        if memory == "low":
            whole: Any = network
            whole = whole.get_base_model() if hasattr(whole, "get_base_model") else whole
            whole.gradient_checkpointing_enable({"use_reentrant": False})

    def begin(self, rows: Sequence[TokenSequence], *, tokens: int, passes: float) -> None:
        """Nothing is prepared."""

    def batches(self, rows: Sequence[TokenSequence]) -> list[Padded]:
        """Rows of similar length, the longest first."""
        indices = micro_batches([len(row.ids) + len(row.rejected) for row in rows], self.micro_batch)
        return [
            Padded(self.task.collate([rows[index] for index in chosen], self.pad_id, self.labels).to(self.device))
            for chosen in indices
        ]

    def running(self) -> AbstractContextManager[None]:
        """Nothing is replaced."""
        return nullcontext()

    def loss(self, batch: Padded) -> torch.Tensor:
        """The task's own loss."""
        return self.task.loss(self.network, batch.batch)


@dataclass(frozen=True)
class Choice:
    """Which engine runs, and why; and how much it keeps for the backward pass."""

    engine: Engine
    reason: str
    memory: str
    memory_reason: str


def choose_engine(materials: Materials, network: Any, base: BaseModel) -> Choice:
    """The engine a configuration asks for; `auto` is the fast one wherever it gives the same numbers.

    Raises:
        ModelError: the fast engine was asked for and does not support this run.
    """
    from luthier.training.fast.engine import FastEngine, unsupported

    training, rows = materials.config.training, materials.prepared.train
    reason = "as configured"
    if training.engine != "reference":
        memory, memory_reason = choose_memory(materials, network, base, fast=True)
        try:
            fast = FastEngine(
                network,
                materials.task,
                pad_id=materials.tokenizer.pad_token_id,
                labels=materials.renderer.labels,
                micro_batch=None if training.micro_batch == "auto" else training.micro_batch,
                memory=memory,
                device=base.device,
                examples=[rows[index] for index in range(min(TRIAL_ROWS, len(rows)))],
                dtype=base.dtype,
            )
            reason = "its loss and gradients were found equal to the plain model's on this network"
            return Choice(fast, reason, memory, memory_reason)
        except NotImplementedError as error:
            if training.engine == "fast":
                raise unsupported(error) from error
            reason = f"the fast engine does not support this run: {error}"
    memory, memory_reason = choose_memory(materials, network, base, fast=False)
    return Choice(ReferenceEngine(network, materials, base.device, memory), reason, memory, memory_reason)


def choose_memory(materials: Materials, network: Any, base: BaseModel, *, fast: bool) -> tuple[str, str]:
    """How much is kept for the backward pass, and why: `auto` recomputes whole layers only where memory is short.

    Args:
        materials: of the run: its rows say how large a micro-batch can be.
        network: the base with the method applied.
        base: the base.
        fast: for the fast engine, or for the reference engine.
    """
    training = materials.config.training
    if training.memory != "auto":
        return training.memory, "as configured"
    tokens, kind = _most_tokens(materials, fast=fast), base.device.type
    kept = tokens * Layers.of(base, network).kept_bytes("balanced", fast=fast) * (1 + pieces(kind, fast=fast))
    weights, _ = count_parameters(network)
    needed = weights * trained_bytes(training.optimizer) + kept
    if kind == "cpu":  # weights that lie in a file are read as they are used; elsewhere they take their memory already
        needed += frozen_bytes(network)
    free = free_memory(base.device)
    level = "balanced" if needed <= ROOM * free else "low"
    return level, f"about {needed / 1e9:.1f} GB are needed at balanced, {free / 1e9:.1f} GB are free"


def _most_tokens(materials: Materials, *, fast: bool) -> int:
    """Tokens of the largest micro-batch that there can be."""
    from luthier.training.fast.batch import TOKENS_AT_ONCE as FLAT_TOKENS

    size, lengths = materials.config.training.micro_batch, materials.prepared.train.lengths
    longest = int(max(lengths, default=1))
    if size != "auto":
        return int(size) * longest
    return max(FLAT_TOKENS if fast else PADDED_TOKENS, longest)
