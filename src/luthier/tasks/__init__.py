"""Tasks, one file each: which examples it accepts, how they become tokens, its loss, and how a model is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from luthier.data.examples import Example
from luthier.data.records import Batch, Encoded, TokenSequence
from luthier.models.base import Head
from luthier.registry import Options

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.data.rendering import Renderer


Form = Literal["plain", "labels", "tags", "number"]
"""How an answer is to be read: as it stands (one label, or free text), as several labels, as a tag for each word, or as
a number."""

BETWEEN_LABELS = " | "
"""Stands between the labels of an answer that names several; an answer without any is empty."""

CHOSEN, REJECTED = "chosen", "rejected"
"""What a model says of two answers, the better and the worse one: which it prefers."""


@dataclass(frozen=True)
class Prediction:
    """A model's answer to one row.

    Attributes:
        row_id: the row's id in the ledger.
        text: what was asked about.
        expected: the right answer as text, None when there is none.
        raw: what the model said, as it said it.
        parsed: the answer understood from it (one of the allowed labels); None = invalid.
        scores: log-probability of each allowed label, when labels were scored; rewards of two answers.
        loss: summed negative log-likelihood of the expected answer in nats, when it was measured.
        tokens: tokens that sum covers.
        form: how `expected` and `parsed` are to be read.
        cut: whether a written answer ended at the most tokens that may be written, not by itself.
        written: tokens of a written answer, without the one that ends it.
    """

    row_id: int
    text: str
    expected: str | None
    raw: str
    parsed: str | None
    scores: dict[str, float] = field(default_factory=dict)
    loss: float | None = None
    tokens: int = 0
    form: Form = "plain"
    cut: bool = False
    written: int = 0


def names_in(answer: str, form: Form) -> list[str]:
    """The classes that an answer names: its label or labels, or its tags, one for each word; a number names none."""
    match form:
        case "labels":
            return answer.split(BETWEEN_LABELS) if answer else []
        case "tags":
            return answer.split(" ")
        case "number":
            return []
        case "plain":
            return [answer]


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
class ComparesWithBase(Protocol):
    """A task whose loss compares the tuned network with its base, which is the same network with the adapter off."""

    def fingerprint(self, network: nn.Module) -> torch.Tensor:
        """What the base answers to a fixed input, before a method is applied."""
        ...

    def check(self, network: nn.Module, fingerprint: torch.Tensor) -> None:
        """Sees whether the network gives its base back.

        Raises:
            ModelError: it does not.
        """
        ...


@runtime_checkable
class Converses(Protocol):
    """A task whose model is spoken to in other ways than its rows are judged in."""

    def replies(self) -> tuple[str, ...]:
        """Ways of asking that answer a question; the first is the primary one."""
        ...


@runtime_checkable
class LearnsRows(Protocol):
    """A task whose loss follows from one vector of logits a row."""

    def loss_of(self, logits_bk: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Summed loss, float32."""
        ...


@runtime_checkable
class LearnsTags(Protocol):
    """A task whose loss follows from one vector of logits for each token that is learned."""

    def tagged(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Which tokens of a batch are learned, int64 [n] each: row, position."""
        ...

    def loss_of_tags(self, logits_nk: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Summed loss of their logits, float32."""
        ...


@runtime_checkable
class HasForm(Protocol):
    """A task whose answers are not read as they stand."""

    form: Form


def form_of(task: Task) -> Form:
    """How a task's answers are to be read."""
    return task.form if isinstance(task, HasForm) else "plain"


def problem_of(task: Task) -> str | None:
    """What `transformers` calls the task of a head, where the head alone would be taken for another one."""
    return {"labels": "multi_label_classification", "number": "regression"}.get(form_of(task))
