"""Preference tuning by DPO: the better of two answers becomes likelier than the worse one, compared with the base.

The loss of a pair, for the default `sigmoid` (Rafailov et al., https://arxiv.org/abs/2305.18290):

    reward(answer) = beta * (log pi(answer | prompt) - log base(answer | prompt))
    loss           = -log sigmoid(reward(better) - reward(worse))

The base is the network with its adapter off: there is no second copy of it.

Shapes: b = pairs, 2b = better answers and after them the worse ones, t = tokens of the longest row, v = vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from luthier.data.examples import Example
from luthier.data.examples import Preference as PreferenceExample
from luthier.data.records import Batch, Encoded, TokenSequence
from luthier.errors import ModelError
from luthier.models.base import Head
from luthier.registry import Options
from luthier.tasks import CHOSEN, REJECTED, Prediction
from luthier.tasks.causal_lm import CausalLm, CausalLmOptions

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.data.rendering import Renderer

PAIR_TOKENS = 1024
"""Tokens of the pairs compared at once in evaluation; the logits of all their answers are in memory together."""

SAME = 1e-2
"""Largest relative difference between the base and the network with its adapter off: more than rounding makes."""


class PreferenceOptions(Options):
    """Preference tuning (DPO) on pairs of a better and a worse answer."""

    name: Literal["preference"] = "preference"
    beta: float = Field(
        0.1, gt=0, description="How strongly the model is held to its base: higher stays nearer, 0.01 to 0.5 is usual."
    )
    loss: Literal["sigmoid", "hinge", "ipo"] = Field(
        "sigmoid",
        description="sigmoid (DPO), hinge (SLiC, https://arxiv.org/abs/2305.10425), ipo (answers compared by their "
        "mean token, https://arxiv.org/abs/2310.12036).",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="Share of pairs assumed to be the wrong way round (sigmoid only; cDPO).",
    )
    sft_weight: float = Field(
        0.0,
        ge=0,
        description="Adds so many times the better answer's negative log-likelihood per token, which keeps it likely "
        "(RPO, https://arxiv.org/abs/2404.19733).",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> PreferenceOptions:
        if self.label_smoothing and self.loss != "sigmoid":
            raise ValueError("label_smoothing belongs to loss: sigmoid")
        return self


@dataclass(frozen=True)
class _Compared:
    """Pairs, each float32 [b]: the loss and the rewards of both answers."""

    losses_b: torch.Tensor
    better_b: torch.Tensor
    worse_b: torch.Tensor


class Preference:
    """Learns which of two answers is better. There is one way to ask about pairs: `preference`, the answer with the
    higher reward; spoken to, the model generates, as any language model does."""

    Options = PreferenceOptions
    kinds = (PreferenceExample,)
    head: Head = "causal_lm"
    peft_task = "CAUSAL_LM"
    base_answers = False
    shots = False

    def __init__(self, options: PreferenceOptions) -> None:
        self.options = options
        self.speech = CausalLm(CausalLmOptions())

    def encode(self, examples: Sequence[tuple[int, Example]], renderer: Renderer) -> list[Encoded]:
        """Pairs by their template; anything else is a question, as to any language model."""
        return [
            renderer.render_preferences([(row_id, example)])[0]
            if isinstance(example, PreferenceExample)
            else self.speech.encode([(row_id, example)], renderer)[0]
            for row_id, example in examples
        ]

    def collate(self, rows: Sequence[TokenSequence], pad_id: int, labels: Sequence[str]) -> Batch:
        """The rows with their better answers, and after them the same rows with the worse ones; `count` is pairs."""
        both = self.speech.collate([*rows, *(row.with_rejected() for row in rows)], pad_id, labels)
        return replace(both, row_ids=[row.row_id for row in rows], count=len(rows))

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Summed loss of the pairs."""
        return self._compare(network, batch).losses_b.sum()

    def _compare(self, network: nn.Module, batch: Batch) -> _Compared:
        with as_base(network):
            base_2b, _ = self.speech.loss_by_row(network, batch)
        tuned_2b, tokens_2b = self.speech.loss_by_row(network, batch)
        better_b, worse_b = (base_2b - tuned_2b).chunk(2)
        better_tokens_b, worse_tokens_b = tokens_2b.chunk(2)
        losses_b = self._losses(better_b, worse_b, better_tokens_b, worse_tokens_b)
        if self.options.sft_weight:
            losses_b = losses_b + self.options.sft_weight * tuned_2b.chunk(2)[0] / better_tokens_b
        return _Compared(losses_b, self.options.beta * better_b, self.options.beta * worse_b)

    def _losses(
        self,
        better_b: torch.Tensor,
        worse_b: torch.Tensor,
        better_tokens_b: torch.Tensor,
        worse_tokens_b: torch.Tensor,
    ) -> torch.Tensor:
        """Loss of each pair from log pi - log base of its answers and their tokens."""
        from torch.nn.functional import logsigmoid

        beta, smoothing = self.options.beta, self.options.label_smoothing
        if self.options.loss == "ipo":
            return (better_b / better_tokens_b - worse_b / worse_tokens_b - 1 / (2 * beta)) ** 2
        margins_b = beta * (better_b - worse_b)
        if self.options.loss == "hinge":
            return (1 - margins_b).relu()
        return -(1 - smoothing) * logsigmoid(margins_b) - smoothing * logsigmoid(-margins_b)

    def fingerprint(self, network: nn.Module) -> torch.Tensor:
        """Logits of a few tokens, float32 [1, t, v]."""
        import torch

        ids_1t = torch.arange(4, device=next(network.parameters()).device)[None]
        logits_1tv: torch.Tensor = network(ids_1t, use_cache=False).logits.float()
        return logits_1tv.detach()

    def check(self, network: nn.Module, fingerprint: torch.Tensor) -> None:
        """Sees whether the network with its adapter off is its base, and stays it while it is trained.

        Raises:
            ModelError: it has no adapter, or more than the adapter is trained or was changed.
        """
        import torch

        hint = "a method that leaves the base as it is, such as method: {name: lora}"
        if not hasattr(network, "disable_adapter"):
            raise ModelError(
                "preference tuning compares with the base, and this method has no adapter to switch off", hint=hint
            )
        with as_base(network), torch.enable_grad():
            logits_1tv = network(torch.arange(4, device=fingerprint.device)[None], use_cache=False).logits
        if logits_1tv.requires_grad:
            raise ModelError(
                "preference tuning compares with the base, and this method trains some of the base's own weights",
                hint=f"{hint} with bias: none",
            )
        if float((logits_1tv.float() - fingerprint).norm()) > SAME * float(fingerprint.norm()):
            raise ModelError(
                "preference tuning compares with the base, and with this method switching the adapter off does not "
                "give the base back",
                hint=hint,
            )

    def outputs(self, labels: Sequence[str]) -> Sequence[str]:
        """The vocabulary is the head."""
        return ()

    def baselines(self, labels: Sequence[str]) -> Sequence[str]:
        """Short answers are often the better ones, or the worse."""
        return ("shorter",)

    def question(self, text: str, labels: Sequence[str]) -> Example:
        """A user's message."""
        return self.speech.question(text, ())

    def distributions(self, network: nn.Module, row: TokenSequence) -> torch.Tensor:
        """The token that follows the prompt, [1, v]."""
        return self.speech.distributions(network, row)

    def modes(self, labels: Sequence[str], *, answers: bool) -> tuple[str, ...]:
        """Pairs are compared."""
        return ("preference",)

    def replies(self) -> tuple[str, ...]:
        """A question is answered in words."""
        return ("generate",)

    def predict(
        self,
        network: nn.Module,
        renderer: Renderer,
        rows: Sequence[TokenSequence],
        *,
        mode: str,
        max_new_tokens: int,
        progress: Callable[[int], None] | None = None,
    ) -> list[Prediction]:
        """The preferred answer of each pair with the rewards of both, or an answer to its prompt."""
        import torch

        from luthier.models.inference import batches_by_length

        if mode != "preference":
            return self.speech.predict(
                network, renderer, rows, mode=mode, max_new_tokens=max_new_tokens, progress=progress
            )
        found: dict[int, Prediction] = {}
        device = next(network.parameters()).device
        with torch.inference_mode():
            for indices in batches_by_length([len(row.ids) + len(row.rejected) for row in rows], PAIR_TOKENS):
                pairs = [rows[index] for index in indices]
                batch = self.collate(pairs, renderer.tokenizer.pad_token_id, ()).to(device)
                compared = self._compare(network, batch)
                columns = (compared.losses_b.tolist(), compared.better_b.tolist(), compared.worse_b.tolist())
                for index, row, loss, better, worse in zip(indices, pairs, *columns, strict=True):
                    found[index] = _prediction(row, loss, better, worse)
                if progress:
                    progress(len(indices))
        return [found[index] for index in range(len(rows))]


@contextmanager
def as_base(network: Any) -> Iterator[None]:
    """Inside, a network with an adapter answers as its base does: no adapter, no dropout, no gradients."""
    import torch

    training = network.training
    learned = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    network.eval()
    try:
        with torch.no_grad(), network.disable_adapter():
            yield
    finally:
        network.train(training)
        for parameter, was_learned in learned:  # peft marks adapters as trained when it switches them on again
            parameter.requires_grad_(was_learned)


def _prediction(row: TokenSequence, loss: float, better: float, worse: float) -> Prediction:
    answer = CHOSEN if better > worse else REJECTED
    return Prediction(row.row_id, row.text, CHOSEN, answer, answer, {CHOSEN: better, REJECTED: worse}, loss, 1)
