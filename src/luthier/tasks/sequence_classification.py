"""A head on an encoder or decoder that reads a whole text: one label, several labels, or a number.

Shapes: b = rows, t = tokens of the longest row, k = outputs of the head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from luthier.data.examples import Example, Labelled, MultiLabelled, Scored
from luthier.data.records import Batch, Encoded, Rejected, TokenSequence
from luthier.models.base import Head
from luthier.registry import Options
from luthier.tasks import Form, Prediction, pad
from luthier.tasks._heads import Answer, Number, OneLabel, SeveralLabels, logits_of_rows, prediction

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.data.rendering import Renderer

ANSWERS: dict[str, Answer] = {"single": OneLabel(), "several": SeveralLabels(), "regression": Number()}
"""What the head's outputs mean, by `kind`."""

KINDS: dict[type, tuple[str, str]] = {
    Labelled: ("one label", "single"),
    MultiLabelled: ("a list of labels", "several"),
    Scored: ("a score", "regression"),
}
"""What each kind of example has, and the `kind` that learns from it."""


class SequenceClassificationOptions(Options):
    """A classification head on top of the base; the head is trained with it."""

    name: Literal["sequence_classification"] = "sequence_classification"
    kind: Literal["single", "several", "regression"] = Field(
        "single",
        description="single (one label a text), several (any number of labels a text, each decided by itself), "
        "regression (a number, as it stands in the data).",
    )


class SequenceClassification:
    """Learns the label, the labels or the score of each text. There is one way to ask: `head`."""

    Options = SequenceClassificationOptions
    kinds = (Labelled, MultiLabelled, Scored)
    head: Head = "sequence_classification"
    peft_task = "SEQ_CLS"
    base_answers = False
    shots = False

    def __init__(self, options: SequenceClassificationOptions) -> None:
        self.options = options
        self.answer = ANSWERS[options.kind]
        self.form: Form = self.answer.form

    def encode(self, examples: Sequence[tuple[int, Example]], renderer: Renderer) -> list[Encoded]:
        """The text alone, with the tokenizer's own special tokens; no template, no instruction."""
        texts = [example.comparable for _, example in examples]
        whole = renderer.tokenizer(texts)["input_ids"] if texts else []
        return [
            self._encoded(row_id, example, ids, renderer)
            for (row_id, example), ids in zip(examples, whole, strict=True)
        ]

    def _encoded(self, row_id: int, example: Example, ids: list[int], renderer: Renderer) -> Encoded:
        if isinstance(example, Labelled) and example.instruction is not None:
            return Rejected("it has an instruction of its own, and this task reads the text alone")
        try:
            label = self.answer.label(example)
        except ValueError as error:
            return Rejected(str(error))
        if label is None:
            has, kind = KINDS[type(example)]
            return Rejected(f"it has {has}: task: {{name: {self.options.name}, kind: {kind}}} learns from such rows")
        return self._fit(TokenSequence(ids, [False] * len(ids), len(ids), row_id, example.comparable, label), renderer)

    def _fit(self, row: TokenSequence, renderer: Renderer) -> Encoded:
        cut = len(row.ids) - renderer.max_length
        if cut <= 0:
            return [row]
        if renderer.too_long != "truncate":
            return Rejected(f"too long: {len(row.ids)} tokens, data.max_length is {renderer.max_length}")
        ids = renderer.tokenizer(row.text, truncation=True, max_length=renderer.max_length)["input_ids"]
        return [TokenSequence(ids, [False] * len(ids), len(ids), row.row_id, row.text, row.label, cut)]

    def collate(self, rows: Sequence[TokenSequence], pad_id: int, labels: Sequence[str]) -> Batch:
        """Targets are class numbers [b], ones and zeros for each label [b, k], or numbers [b]."""
        input_ids_bt, attention_mask_bt = pad([row.ids for row in rows], pad_id)
        targets = self.answer.targets([row.label for row in rows], labels)
        return Batch(input_ids_bt, attention_mask_bt, targets, [row.row_id for row in rows], len(rows))

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Summed loss of the rows."""
        return self.loss_of(network(batch.input_ids_bt, attention_mask=batch.attention_mask_bt).logits, batch)

    def loss_of(self, logits_bk: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The same from the head's logits."""
        return self.answer.loss(logits_bk.float(), batch.targets)

    def outputs(self, labels: Sequence[str]) -> Sequence[str]:
        """One for each label, or one number."""
        return self.answer.outputs(labels)

    def baselines(self, labels: Sequence[str]) -> Sequence[str]:
        """The commonest answer and a linear model."""
        return self.answer.baselines

    def question(self, text: str, labels: Sequence[str]) -> Example:
        """A text with an answer of the right kind."""
        return self.answer.question(text, labels)

    def distributions(self, network: nn.Module, row: TokenSequence) -> torch.Tensor:
        """The labels, each label, or the number: see the kinds of answers in `luthier.tasks._heads`."""
        import torch

        device = next(network.parameters()).device
        return self.answer.distributions(network(torch.tensor([list(row.ids)], device=device)).logits[0].float())

    def modes(self, labels: Sequence[str], *, answers: bool) -> tuple[str, ...]:
        """Only the head answers."""
        return ("head",)

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
        """What the head says, with the log-probabilities of all labels."""
        labels = renderer.labels

        def collate(some: Sequence[TokenSequence]) -> Batch:
            return self.collate(some, renderer.tokenizer.pad_token_id, labels)

        found: dict[int, Prediction] = {}
        for index, logits_k in logits_of_rows(network, rows, collate, progress):
            row = rows[index]
            answer, scores = self.answer.read(logits_k, labels)
            loss = float(self.answer.loss(logits_k[None], self.answer.targets([row.label], labels)))
            found[index] = prediction(row, answer, self.form, scores, loss)
        return [found[index] for index in range(len(rows))]
