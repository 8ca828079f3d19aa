"""Tasks, one file each: which examples it accepts, how they become tokens, its loss, and how a model is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from luthier.data.examples import Example
from luthier.data.records import Batch, Encoded, TokenSequence
from luthier.models.base import Head
from luthier.registry import Options

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.data.rendering import Renderer


@dataclass(frozen=True)
class Prediction:
    """A model's answer to one row.

    Attributes:
        row_id: the row's id in the ledger.
        text: what was asked about.
        expected: the right answer as text, None when there is none.
        raw: what the model said, as it said it.
        parsed: the answer understood from it (one of the allowed labels); None = invalid.
        scores: log-probability of each allowed label, when labels were scored.
        loss: summed negative log-likelihood of the expected answer in nats, when it was measured.
        tokens: tokens that sum covers.
    """

    row_id: int
    text: str
    expected: str | None
    raw: str
    parsed: str | None
    scores: dict[str, float] = field(default_factory=dict)
    loss: float | None = None
    tokens: int = 0


def pad(rows: Sequence[Sequence[int]], value: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of integers as int64 tensors [b, t], padded on the right: (the values, 1 for real places)."""
    import torch

    longest = max(len(row) for row in rows)
    padded_bt = torch.tensor([[*map(int, row), *[value] * (longest - len(row))] for row in rows])
    mask_bt = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return padded_bt, mask_bt


class Task(Protocol):
    """What a task does. Every file of this package has one class of this shape, built from its options."""

    Options: ClassVar[type[Options]]
    kinds: ClassVar[tuple[type, ...]]
    head: ClassVar[Head]
    peft_task: ClassVar[str]
    base_answers: ClassVar[bool]
    """Whether an untuned base can answer at all; a new head cannot."""
    shots: ClassVar[bool]
    """Whether examples can be shown in the prompt."""

    def __init__(self, options: Any) -> None: ...

    def encode(self, examples: Sequence[tuple[int, Example]], renderer: Renderer) -> list[Encoded]:
        """Tokens of (row id, example) pairs, in order."""
        ...

    def collate(self, rows: Sequence[TokenSequence], pad_id: int, labels: Sequence[str]) -> Batch:
        """A batch on the CPU, padded on the right."""
        ...

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Summed loss of a batch, float32; the loop divides by the `count` of the whole optimiser step."""
        ...

    def outputs(self, labels: Sequence[str]) -> Sequence[str]:
        """Names of a new head's outputs, in order; none without a new head."""
        ...

    def baselines(self, labels: Sequence[str]) -> Sequence[str]:
        """Names in `luthier.evaluation.baselines` of the simple ways that rows with answers are compared with."""
        ...

    def question(self, text: str, labels: Sequence[str]) -> Example:
        """A text as a question; the answer in it is never looked at."""
        ...

    def distributions(self, network: nn.Module, row: TokenSequence) -> torch.Tensor:
        """Probabilities that answer a row's prompt, float32 [m, v]: what an artefact must repeat."""
        ...

    def modes(self, labels: Sequence[str], *, answers: bool) -> tuple[str, ...]:
        """Ways of asking a model; the first is the primary one.

        Args:
            labels: the allowed labels, none for free answers.
            answers: whether rows have answers, unlike running text.
        """
        ...

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
        """Answers of a model, in the order of the rows; `progress` is told how many more rows are done."""
        ...


@runtime_checkable
class LearnsTokens(Protocol):
    """A task whose loss is the summed cross-entropy of tokens, each predicted from one hidden state."""

    def predicted(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What is learned of a batch, int64 [n] each: row, position whose hidden state predicts, token to predict."""
        ...


@runtime_checkable
class LearnsRows(Protocol):
    """A task whose loss follows from one vector of logits a row."""

    def loss_of(self, logits_bk: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Summed loss, float32."""
        ...
