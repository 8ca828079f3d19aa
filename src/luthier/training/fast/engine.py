"""The fast engine: flat rows, shared beginnings, LoRA as one operation, the output layer where something is learned.

It runs the model of `transformers` as it is, with parts of it replaced while a micro-batch is computed. Whether that
gives the same loss and the same gradients is tried out on the model itself before training: nothing is assumed of an
architecture.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import AttentionInterface

from luthier.data.records import Batch, TokenSequence
from luthier.errors import ConfigError, ModelError
from luthier.models.compute import free_memory
from luthier.models.soft_prompts import check_room
from luthier.tasks import LearnsRows, LearnsTags, LearnsTokens, Task
from luthier.training.fast.attention import NAME, flat_attention
from luthier.training.fast.batch import FlatBatch, cut
from luthier.training.fast.below import MOST_OF_FREE, Below
from luthier.training.fast.last import Last
from luthier.training.fast.lora import LoraLinear, is_plain
from luthier.training.fast.output import OutputLayer
from luthier.training.fast.parts import Parts
from luthier.training.fast.pieces import faster_gate, faster_norm
from luthier.training.fast.trial import try_out
from luthier.training.fast.virtual import Virtual

AttentionInterface.register(NAME, flat_attention)

TECHNIQUES = ("flat", "prefixes", "head", "last-layer", "fused-lora", "norms", "recompute")
"""What the environment variable can switch off, separated by commas, to measure what each one is worth."""

SWITCH = "LUTHIER_FAST_WITHOUT"

ROWS_AT_ONCE = 256
"""Rows that are laid out together before training."""


def taken_apart(network: Any, task: Task, memory: str) -> tuple[Parts, Virtual | None]:
    """What the engine runs of a network, and the virtual tokens of its method.

    Args:
        network: the network with its method; its weights are not needed.
        task: what is learned.
        memory: low | balanced | fast.

    Raises:
        NotImplementedError: the engine does not support them; what it does support is tried out on the weights.
    """
    if getattr(network.config, "is_encoder_decoder", False):
        raise NotImplementedError("an encoder-decoder reads two sequences a row, and flat rows are one")
    if not isinstance(task, LearnsTokens | LearnsRows | LearnsTags):
        raise NotImplementedError("the loss of this task follows neither from single tokens nor from single rows")
    parts = Parts.of(network)
    return parts, Virtual.of(network, draws=parts.draws, memory=memory)


class FastEngine:
    """Computes the loss of flat micro-batches.

    Attributes:
        parts: the model it runs.
        draws: whether anything is drawn at random while training, such as dropout.
        share: whether common beginnings are computed once.
        offset: what the model's positions begin with.
        below: what is remembered of the layers under the first trained one, if anything can be.
        virtual: the virtual tokens of its method, if it has any.
        last: what of the last layer is computed only where the loss reads it, if anything can be.
        notes: what is not done, and why, for people.

    Args:
        network: the network with its method.
        task: what is learned.
        pad_id, labels: for `task.collate`.
        micro_batch: rows of a micro-batch; None = as many as fit.
        memory: low | balanced | fast.
        device: where it computes.
        examples: a few training rows for the trial.
        dtype: the type it computes in.
    """

    name = "fast"

    def __init__(
        self,
        network: Any,
        task: Task,
        *,
        pad_id: int,
        labels: Sequence[str],
        micro_batch: int | None,
        memory: str,
        device: torch.device,
        examples: Sequence[TokenSequence],
        dtype: torch.dtype,
    ) -> None:
        self.without = _switched_off()
        self.task, self.pad_id, self.labels = task, pad_id, labels
        self.micro_batch, self.device, self.dtype = micro_batch, device, dtype
        self.notes = [f"switched off by {SWITCH}: {', '.join(sorted(self.without))}"] if self.without else []
        self.draws, self.share, self.offset = False, False, 0
        self.below: Below | None = None
        self.last: Last | None = None
        self.parts, self.virtual = taken_apart(network, task, memory)
        self.output = OutputLayer(self.parts.whole) if isinstance(task, LearnsTokens) else None
        self.forwards = self._replacements(recompute=memory != "fast" and "recompute" not in self.without)
        try_out(self, examples, dtype)
        if memory == "low":
            self.parts.whole.gradient_checkpointing_enable({"use_reentrant": False})

    def _replacements(self, *, recompute: bool) -> list[tuple[nn.Module, Any]]:
        """(module, forward in place of its own)."""
        modules = list(self.parts.network.modules())
        fuse, norms = "fused-lora" not in self.without, "norms" not in self.without
        forwards: list[tuple[nn.Module, Any]] = []
        found: Any
        for module in modules:
            found = LoraLinear(module) if fuse and is_plain(module) else None
            found = found or (faster_norm(module) if norms else None)
            found = found or (faster_gate(module) if fuse and recompute else None)
            if found is not None:
                forwards.append((module, found))
        if not fuse:
            return forwards
        adapted = sum(1 for module in modules if hasattr(module, "lora_A"))
        fused = sum(isinstance(forward, LoraLinear) for _, forward in forwards)
        if fused < adapted:
            why = "dropout, DoRA, AdaLoRA, a quantised base or no linear layer"
            self.notes.append(f"{adapted - fused} of {adapted} LoRA layers run as in peft ({why})")
        return forwards

    # -- micro-batches ---------------------------------------------------------------------------------------------

    def batches(self, rows: Sequence[TokenSequence]) -> list[FlatBatch]:
        """The micro-batches of a step, on the CPU."""
        indices = cut([row.ids for row in rows], share=self.share, size=self.micro_batch)
        return [self._flat([rows[index] for index in chosen]) for chosen in indices]

    def collate(self, rows: Sequence[TokenSequence]) -> Batch:
        """Rows padded by their task."""
        return self.task.collate(rows, self.pad_id, self.labels).to(self.device)

    def _flat(self, rows: Sequence[TokenSequence]) -> FlatBatch:
        batch = self.collate(rows)
        padded = "flat" in self.without and isinstance(self.task, LearnsTokens)  # a classifier would read the padding
        return self.flat(batch, padded=padded)

    def flat(self, batch: Batch, *, share: bool | None = None, padded: bool = False) -> FlatBatch:
        """A padded batch laid out; `share` None = as the trial found."""
        if self.virtual:
            check_room(self.virtual.network, batch.input_ids_bt.shape[1])
        share = self.share if share is None else share
        return FlatBatch.of(batch, share=share, flat=not padded, virtual=self.virtual)

    # -- the loss --------------------------------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator[None]:
        """Puts the faster parts in place; forward and backward passes belong inside."""
        before = [(config, config._attn_implementation) for config in self.parts.configs]
        for config, _ in before:
            config._attn_implementation = NAME
        for module, forward in self.forwards:
            module.forward = forward
        try:
            with self.last.installed() if self.last else nullcontext():
                yield
        finally:
            for module, _ in self.forwards:
                del module.forward
            for config, implementation in before:
                config._attn_implementation = implementation

    def begin(self, rows: Sequence[TokenSequence], *, tokens: int, passes: float) -> None:
        """Remembers what lies below the first trained layer, where that pays and there is room.

        Args:
            rows: those to be trained on.
            tokens: how many tokens the whole run's rows have.
            passes: how often each row will be seen.
        """
        if self.below is None or passes <= 1:
            return
        size = tokens * self.parts.whole.config.get_text_config().hidden_size * self.dtype.itemsize
        if size > MOST_OF_FREE * free_memory(self.device):
            return
        with self.running():
            for start in range(0, len(rows), ROWS_AT_ONCE):
                some = [rows[index] for index in range(start, min(start + ROWS_AT_ONCE, len(rows)))]
                for flat in self.batches(some):
                    self.below.remember(flat, self.body)

    def loss(self, flat: FlatBatch) -> torch.Tensor:
        """Summed loss of a micro-batch, inside `running`."""
        read_n = self.read(flat)
        if self.last is not None:
            self.last.focus(read_n, flat.computed)
        below = self.below if self.below is not None and self.below.knows(flat) else None
        with below.replayed(flat) if below else nullcontext():
            if isinstance(self.task, LearnsTokens):
                return self._token_loss(self.task, flat, read_n)
            if isinstance(self.task, LearnsTags):
                return self.task.loss_of_tags(self._tag_logits(flat, read_n), flat.batch)
            assert isinstance(self.task, LearnsRows)
            return self.task.loss_of(self._row_logits(flat, read_n), flat.batch)

    def read(self, flat: FlatBatch) -> torch.Tensor:
        """Flat indices [n] of the tokens whose hidden states the loss reads."""
        if isinstance(self.task, LearnsTokens):
            rows_n, positions_n, _ = self.task.predicted(flat.batch)
            return flat.at(rows_n, positions_n)
        if isinstance(self.task, LearnsTags):
            return flat.at(*self.task.tagged(flat.batch))
        end = -1 if hasattr(self.parts.whole, "score") else 0  # a head reads the first token of a row, or the last one
        return torch.tensor([int(places[end]) for places in flat.places], device=self.device)

    def body(self, flat: FlatBatch) -> torch.Tensor:
        """Hidden states of the computed tokens, [t, d]."""
        hidden_1td: torch.Tensor = self.parts.body(**self._arguments(flat)).last_hidden_state
        return hidden_1td[0]

    def _arguments(self, flat: FlatBatch) -> dict[str, Any]:
        """For the forward of the body, or of the whole model."""
        arguments: dict[str, Any] = {"position_ids": flat.positions_1t + self.offset, "use_cache": False}
        arguments |= self.virtual.inputs(flat.input_ids_1t) if self.virtual else {"input_ids": flat.input_ids_1t}
        if getattr(self.parts.whole.config, "type_vocab_size", 0):  # GPT-2 would add the embedding of its first token
            arguments["token_type_ids"] = torch.zeros_like(flat.positions_1t)
        accepted = {name: value for name, value in arguments.items() if name in self.parts.accepted}
        return accepted | {"flat": flat.attention}

    def _token_loss(self, task: LearnsTokens, flat: FlatBatch, read_n: torch.Tensor) -> torch.Tensor:
        _, _, targets_n = task.predicted(flat.batch)
        hidden_td = self.body(flat)
        assert self.output is not None
        if "head" in self.without:
            return cross_entropy(self.output.logits(hidden_td).index_select(0, read_n), targets_n, reduction="sum")
        return self.output.loss(hidden_td.index_select(0, read_n), targets_n)

    def _tag_logits(self, flat: FlatBatch, read_n: torch.Tensor) -> torch.Tensor:
        """Logits [n, k] of the tokens that are learned, from a head that reads every token by itself."""
        logits_1tk: torch.Tensor = self.parts.whole(**self._arguments(flat)).logits
        return logits_1tk[0].index_select(0, read_n)

    def _row_logits(self, flat: FlatBatch, read_n: torch.Tensor) -> torch.Tensor:
        """Logits [b, k] of a classification head, which reads the first token of a row, or the last one."""
        whole, body = self.parts.whole, self.parts.body
        if hasattr(whole, "score"):
            scores: torch.Tensor = whole.score(self.body(flat).index_select(0, read_n))
            return scores

        def firsts(hidden_1td: torch.Tensor) -> torch.Tensor:
            return hidden_1td[0].index_select(0, read_n)[:, None]

        pooler = getattr(body, "pooler", None)
        if pooler is not None:
            handle = pooler.register_forward_pre_hook(lambda module, inputs: (firsts(inputs[0]), *inputs[1:]))
        else:
            handle = body.register_forward_hook(lambda module, inputs, output: _replaced(output, firsts))
        try:
            logits: torch.Tensor = whole(**self._arguments(flat)).logits
        finally:
            handle.remove()
        return logits


def _switched_off() -> frozenset[str]:
    """The techniques that the environment variable names.

    Raises:
        ConfigError: it names something else.
    """
    named = frozenset(filter(None, os.environ.get(SWITCH, "").split(",")))
    if unknown := sorted(named.difference(TECHNIQUES)):
        raise ConfigError(f"no technique '{unknown[0]}'", where=SWITCH, expected=f"some of {', '.join(TECHNIQUES)}")
    return named


def _replaced(output: Any, firsts: Any) -> Any:
    output.last_hidden_state = firsts(output.last_hidden_state)
    return output


def unsupported(error: NotImplementedError) -> ModelError:
    """The error when the fast engine is asked for and cannot run."""
    return ModelError(f"training.engine: fast does not support this run: {error}", hint="training.engine: auto")
