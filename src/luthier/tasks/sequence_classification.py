"""A classification head on an encoder or decoder: one label a text.

Shapes: b = rows, t = tokens of the longest row, k = labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from luthier.data.examples import Example, Labelled
from luthier.data.records import Batch, Encoded, Rejected, TokenSequence
from luthier.models.base import Head
from luthier.registry import Options
from luthier.tasks import Prediction, pad

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.data.rendering import Renderer


class SequenceClassificationOptions(Options):
    """A classification head on top of the base; the head is trained with it."""

    name: Literal["sequence_classification"] = "sequence_classification"


class SequenceClassification:
    """Learns one of the allowed labels for each text. There is one way to ask: `head`, the class with most weight."""

    Options = SequenceClassificationOptions
    kinds = (Labelled,)
    head: Head = "sequence_classification"
    peft_task = "SEQ_CLS"
    base_answers = False
    shots = False

    def __init__(self, options: SequenceClassificationOptions) -> None:
        self.options = options

    def encode(self, examples: Sequence[tuple[int, Example]], renderer: Renderer) -> list[Encoded]:
        """The text alone, with the tokenizer's own special tokens; no template, no instruction."""
        labelled = [(row_id, example) for row_id, example in examples if isinstance(example, Labelled)]
        texts = [example.text for _, example in labelled]
        whole = renderer.tokenizer(texts)["input_ids"] if texts else []
        return [
            self._fit(row_id, example, ids, renderer) for (row_id, example), ids in zip(labelled, whole, strict=True)
        ]

    def _fit(self, row_id: int, example: Labelled, ids: list[int], renderer: Renderer) -> Encoded:
        cut = len(ids) - renderer.max_length
        if cut > 0 and renderer.too_long != "truncate":
            return Rejected(f"too long: {len(ids)} tokens, data.max_length is {renderer.max_length}")
        if cut > 0:
            ids = renderer.tokenizer(example.text, truncation=True, max_length=renderer.max_length)["input_ids"]
        return [TokenSequence(ids, [False] * len(ids), len(ids), row_id, example.text, example.label, max(cut, 0))]

    def collate(self, rows: Sequence[TokenSequence], pad_id: int, labels: Sequence[str]) -> Batch:
        """Targets are class numbers."""
        import torch

        input_ids_bt, attention_mask_bt = pad([row.ids for row in rows], pad_id)
        numbers = {label: number for number, label in enumerate(labels)}
        targets_b = torch.tensor([numbers.get(row.label or "", -100) for row in rows])
        return Batch(input_ids_bt, attention_mask_bt, targets_b, [row.row_id for row in rows], len(rows))

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Summed cross-entropy of the rows."""
        return self.loss_of(network(batch.input_ids_bt, attention_mask=batch.attention_mask_bt).logits, batch)

    def loss_of(self, logits_bk: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The same from the head's logits."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(logits_bk.float(), batch.targets, reduction="sum")

    def outputs(self, labels: Sequence[str]) -> Sequence[str]:
        """One for each label."""
        return labels

    def baselines(self, labels: Sequence[str]) -> Sequence[str]:
        """The commonest label and a linear model."""
        return ("majority", "tfidf")

    def question(self, text: str, labels: Sequence[str]) -> Example:
        """A labelled text."""
        return Labelled(text, labels[0])

    def distributions(self, network: nn.Module, row: TokenSequence) -> torch.Tensor:
        """The labels, [1, k]."""
        import torch

        device = next(network.parameters()).device
        probabilities_1k: torch.Tensor = (
            network(torch.tensor([list(row.ids)], device=device)).logits.float().softmax(-1)
        )
        return probabilities_1k

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
        """Log-probabilities of all labels, the best one as the answer."""
        import torch

        from luthier.models.inference import batches_by_length

        labels = renderer.labels
        device = next(network.parameters()).device
        found: dict[int, Prediction] = {}
        with torch.inference_mode():
            for indices in batches_by_length([len(row.ids) for row in rows]):
                chosen = [rows[index] for index in indices]
                batch = self.collate(chosen, renderer.tokenizer.pad_token_id, labels).to(device)
                logits_bk = network(batch.input_ids_bt, attention_mask=batch.attention_mask_bt).logits
                for index, row, scores_k in zip(
                    indices, chosen, logits_bk.float().log_softmax(-1).tolist(), strict=True
                ):
                    found[index] = _prediction(row, dict(zip(labels, scores_k, strict=True)))
                if progress:
                    progress(len(indices))
        return [found[index] for index in range(len(rows))]


def _prediction(row: TokenSequence, scores: dict[str, float]) -> Prediction:
    best = max(scores, key=lambda label: scores[label])
    loss = -scores[row.label] if row.label in scores else None
    return Prediction(row.row_id, row.text, row.label, best, best, scores, loss, int(loss is not None))
