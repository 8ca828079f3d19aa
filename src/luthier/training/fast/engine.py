"""The fast engine: flat rows, shared beginnings, LoRA as one operation, the output layer where something is learned.

It runs the model of `transformers` as it is, with parts of it replaced while a micro-batch is computed. Whether that
gives the same loss and the same gradients is tried out on the model itself before training: nothing is assumed of an
architecture.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import AttentionInterface

from luthier.data.records import Batch, TokenSequence
from luthier.errors import ModelError
from luthier.tasks import LearnsRows, LearnsTokens, Task
from luthier.training.fast.attention import NAME, flat_attention
from luthier.training.fast.batch import FlatBatch, cut
from luthier.training.fast.lora import LoraLinear, is_plain
from luthier.training.fast.output import OutputLayer
from luthier.training.fast.pieces import faster_gate, faster_norm

AttentionInterface.register(NAME, flat_attention)

TECHNIQUES = ("flat", "prefixes", "head", "fused-lora", "recompute")
"""What LUTHIER_FAST_WITHOUT can switch off, separated by commas, to measure what each one is worth."""

DROPOUTS = ("attention_dropout", "attn_pdrop", "dropout", "activation_dropout")
"""Keys of configurations whose dropout may be applied without a module of its own."""

ALLOWED = {torch.float32: 1e-3, torch.bfloat16: 0.2, torch.float16: 0.2}
"""Largest relative difference of loss and gradients between this engine and the plain model in the trial. Rounding to
bfloat16 alone makes 0.04 to 0.08 on SmolLM2; wrong positions or another mistake in what is computed make about 1."""


@dataclass(frozen=True)
class Parts:
    """A causal model or classifier of `transformers`, taken out of its `peft` wrapper.

    Attributes:
        whole: the model with its head.
        body: what gives hidden states.
        accepted: names of the arguments of the body's forward.
    """

    whole: Any
    body: Any
    accepted: frozenset[str]

    @classmethod
    def of(cls, network: Any) -> Parts:
        """Finds them.

        Raises:
            NotImplementedError: the method or the model cannot be run in parts.
        """
        config = getattr(network, "active_peft_config", None)
        if config is not None and (config.is_prompt_learning or config.is_adaption_prompt):
            raise NotImplementedError("the method adds its own inputs to the model")
        whole = network.get_base_model() if hasattr(network, "get_base_model") else network
        body = whole.base_model
        accepted = frozenset(inspect.signature(body.forward).parameters)
        if body is whole or "position_ids" not in accepted:
            raise NotImplementedError("the model cannot be given positions of its tokens")
        return cls(whole, body, accepted)


class FastEngine:
    """Computes the loss of flat micro-batches.

    Attributes:
        share: whether common beginnings are computed once.
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
        self.without = frozenset(filter(None, os.environ.get("LUTHIER_FAST_WITHOUT", "").split(",")))
        self.network, self.task, self.pad_id, self.labels = network, task, pad_id, labels
        self.micro_batch, self.device = micro_batch, device
        self.notes: list[str] = []
        self.share, self.offset = False, 0
        self.parts = Parts.of(network)
        self.configs = list(
            {id(c): c for c in (getattr(m, "config", None) for m in network.modules()) if c is not None}.values()
        )
        self.output = OutputLayer(self.parts.whole) if isinstance(task, LearnsTokens) else None
        self.forwards = self._replacements(recompute=memory != "fast" and "recompute" not in self.without)
        self._try_out(examples, dtype)
        if memory == "low":
            self.parts.whole.gradient_checkpointing_enable({"use_reentrant": False})

    def _replacements(self, *, recompute: bool) -> list[tuple[nn.Module, Any]]:
        """(module, forward in place of its own)."""
        if "fused-lora" in self.without:
            return []
        modules = list(self.network.modules())
        forwards: list[tuple[nn.Module, Any]] = []
        for module in modules:
            found = (
                LoraLinear(module)
                if is_plain(module)
                else faster_norm(module) or faster_gate(module, recompute=recompute)
            )
            if found is not None:
                forwards.append((module, found))
        adapted = sum(1 for module in modules if hasattr(module, "lora_A"))
        fused = sum(isinstance(forward, LoraLinear) for _, forward in forwards)
        if fused < adapted:
            self.notes.append(
                f"{adapted - fused} of {adapted} LoRA layers run as in peft (dropout, DoRA or no linear layer)"
            )
        return forwards

    # -- micro-batches ---------------------------------------------------------------------------------------------

    def batches(self, rows: Sequence[TokenSequence]) -> list[FlatBatch]:
        """The micro-batches of a step, on the CPU."""
        indices = cut([row.ids for row in rows], share=self.share, size=self.micro_batch)
        return [self._flat([rows[index] for index in chosen]) for chosen in indices]

    def _flat(self, rows: Sequence[TokenSequence]) -> FlatBatch:
        batch = self.task.collate(rows, self.pad_id, self.labels).to(self.device)
        padded = "flat" in self.without and isinstance(self.task, LearnsTokens)  # a classifier would read the padding
        return FlatBatch.of(batch, share=self.share, flat=not padded)

    # -- the loss --------------------------------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator[None]:
        """Puts the faster parts in place; forward and backward passes belong inside."""
        before = [(config, config._attn_implementation) for config in self.configs]
        for config, _ in before:
            config._attn_implementation = NAME
        for module, forward in self.forwards:
            module.forward = forward
        try:
            yield
        finally:
            for module, _ in self.forwards:
                del module.forward
            for config, implementation in before:
                config._attn_implementation = implementation

    def loss(self, flat: FlatBatch) -> torch.Tensor:
        """Summed loss of a micro-batch, inside `running`."""
        if isinstance(self.task, LearnsTokens):
            return self._token_loss(self.task, flat)
        assert isinstance(self.task, LearnsRows)
        return self.task.loss_of(self._row_logits(flat), flat.batch)

    def _body(self, flat: FlatBatch) -> dict[str, Any]:
        """Arguments of the body, or of the whole model."""
        arguments = {
            "input_ids": flat.input_ids_1t,
            "position_ids": flat.positions_1t + self.offset,
            "use_cache": False,
        }
        if getattr(self.parts.whole.config, "type_vocab_size", 0):  # GPT-2 would add the embedding of its first token
            arguments["token_type_ids"] = torch.zeros_like(flat.input_ids_1t)
        return {name: value for name, value in arguments.items() if name in self.parts.accepted} | {
            "flat": flat.attention
        }

    def _token_loss(self, task: LearnsTokens, flat: FlatBatch) -> torch.Tensor:
        rows_n, positions_n, targets_n = task.predicted(flat.batch)
        hidden_td = self.parts.body(**self._body(flat)).last_hidden_state[0]
        at_n = flat.at(rows_n, positions_n)
        assert self.output is not None
        if "head" in self.without:
            return cross_entropy(self.output.logits(hidden_td).index_select(0, at_n), targets_n, reduction="sum")
        return self.output.loss(hidden_td.index_select(0, at_n), targets_n)

    def _row_logits(self, flat: FlatBatch) -> torch.Tensor:
        """Logits [b, k] of a classification head, which reads the first token of a row, or the last one."""
        whole, body = self.parts.whole, self.parts.body
        rows = range(len(flat.places))
        if hasattr(whole, "score"):
            last = torch.tensor([int(flat.places[row][-1]) for row in rows], device=self.device)
            scores: torch.Tensor = whole.score(body(**self._body(flat)).last_hidden_state[0].index_select(0, last))
            return scores
        first = torch.tensor([int(flat.places[row][0]) for row in rows], device=self.device)

        def firsts(hidden_1td: torch.Tensor) -> torch.Tensor:
            return hidden_1td[0].index_select(0, first)[:, None]

        pooler = getattr(body, "pooler", None)
        if pooler is not None:
            handle = pooler.register_forward_pre_hook(lambda module, inputs: (firsts(inputs[0]), *inputs[1:]))
        else:
            handle = body.register_forward_hook(lambda module, inputs, output: _replaced(output, firsts))
        try:
            logits: torch.Tensor = whole(**self._body(flat)).logits
        finally:
            handle.remove()
        return logits

    # -- the trial -------------------------------------------------------------------------------------------------

    def _try_out(self, examples: Sequence[TokenSequence], dtype: torch.dtype) -> None:
        """Compares loss and gradients with the plain model on a few short rows.

        Raises:
            NotImplementedError: they differ, or the model does not reach the attention function.
        """
        rows = trial_rows(examples)
        batch = self.task.collate(rows, self.pad_id, self.labels).to(self.device)
        training, _ = self.network.training, self.network.eval()
        try:
            expected = self._gradients(self.task.loss(self.network, batch))
            flat = self._tried(batch, expected, dtype)
            self.share = self._may_share(flat)
            if self.share:
                self._tried(batch, expected, dtype)
        finally:
            self.network.zero_grad()
            self.network.train(training)

    def _tried(self, batch: Batch, expected: list[torch.Tensor], dtype: torch.dtype) -> FlatBatch:
        """Tries positions from 0, and those of the RoBERTa family, which begin behind the pad token's id."""
        worst = float("inf")
        for offset in (self.offset, self.pad_id + 1):
            self.offset = offset
            flat = FlatBatch.of(batch, share=self.share)
            try:
                with self.running():
                    found = self._gradients(self.loss(flat))
            except NotImplementedError:
                raise
            except Exception as error:  # whatever a model stumbles over that does not know these arguments
                raise NotImplementedError(f"flat rows do not go through it: {error}") from error
            if not flat.attention.calls:
                raise NotImplementedError("its attention does not go through the attention interface of transformers")
            worst = min(worst, _difference(found, expected, dtype))
            if worst <= ALLOWED[dtype]:
                return flat
        raise NotImplementedError(f"flat rows change its loss or gradients (by {worst:.1e})")

    def _gradients(self, loss: torch.Tensor) -> list[torch.Tensor]:
        self.network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        trained = [p.grad.detach().clone() for p in self.network.parameters() if p.grad is not None]
        return [loss.detach(), *trained]

    def _may_share(self, flat: FlatBatch) -> bool:
        """Whether common beginnings are the same for all rows: causal attention, and no dropout on the way."""
        if "prefixes" in self.without:
            return False
        if not flat.attention.causal:
            return False
        dropouts = [module for module in self.network.modules() if isinstance(module, nn.Dropout) and module.p]
        if dropouts or any(getattr(config, name, 0) for config in self.configs for name in DROPOUTS):
            self.notes.append("common beginnings are not shared: with dropout every row draws its own")
            return False
        return True


def trial_rows(examples: Sequence[TokenSequence]) -> list[TokenSequence]:
    """Three short rows from the beginnings of real ones, two of which begin alike; their last tokens are learned."""
    ids = [list(row.ids) for row in examples]
    long = max(ids, key=len)[:20]
    other = min(ids, key=len)[::-1][:6] or long[:1]
    made = [long, long[: max(len(long) * 2 // 3, 1)] + other, other]
    first = next((row for row in examples if row.label is not None), examples[0])
    return [
        replace(first, ids=row, supervised=[place >= len(row) // 2 for place in range(len(row))], prompt_length=1)
        for row in made
    ]


def _replaced(output: Any, firsts: Any) -> Any:
    output.last_hidden_state = firsts(output.last_hidden_state)
    return output


def _difference(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor], dtype: torch.dtype) -> float:
    """Difference of the loss, which comes first, or of the gradients where that is larger, relative to their norms.

    In float32 every gradient is compared by itself; one that is nothing but rounding, such as that of a key's bias,
    against all of them. Narrower types round each of them by several per cent: there they are compared together.
    """
    norms = [float(tensor.float().norm()) for tensor in expected]
    apart = [float((a.float() - b.float()).norm()) for a, b in zip(found, expected, strict=True)]
    whole = math.hypot(*norms[1:]) or 1.0
    if dtype == torch.float32:
        relative = [one / max(norm, ALLOWED[dtype] * whole) for one, norm in zip(apart[1:], norms[1:], strict=True)]
    else:
        relative = [math.hypot(*apart[1:]) / whole]
    relative.append(apart[0] / (norms[0] or 1.0))
    return max(relative) if all(map(math.isfinite, relative)) else math.inf


def unsupported(error: NotImplementedError) -> ModelError:
    """The error when the fast engine is asked for and cannot run."""
    return ModelError(f"training.engine: fast does not support this run: {error}", hint="training.engine: auto")
