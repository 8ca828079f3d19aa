"""What tasks with a new head share: running it over rows, and the kinds of answers that one vector of logits can mean.

Shapes: b = rows, k = outputs of the head, m = distributions that answer a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from luthier.data.examples import Example, Labelled, MultiLabelled, Scored
from luthier.data.records import Batch, TokenSequence
from luthier.tasks import BETWEEN_LABELS, Form, Prediction, names_in

if TYPE_CHECKING:
    import torch
    from torch import nn


def logits_of_rows(
    network: nn.Module,
    rows: Sequence[TokenSequence],
    collate: Callable[[Sequence[TokenSequence]], Batch],
    progress: Callable[[int], None] | None,
) -> Iterator[tuple[int, torch.Tensor]]:
    """(index, float32 logits of that row, with what its padding gives), batches of the longest rows first."""
    import torch

    from luthier.models.inference import batches_by_length

    device = next(network.parameters()).device
    with torch.inference_mode():
        for indices in batches_by_length([len(row.ids) for row in rows]):
            batch = collate([rows[index] for index in indices]).to(device)
            logits = network(batch.input_ids_bt, attention_mask=batch.attention_mask_bt).logits.float().cpu()
            yield from zip(indices, logits, strict=True)
            if progress:
                progress(len(indices))


class Answer(Protocol):
    """What one vector of logits means.

    Attributes:
        form: how its answers are read.
        baselines: simple ways that it is compared with.
    """

    form: ClassVar[Form]
    baselines: ClassVar[Sequence[str]]

    def label(self, example: Example) -> str | None:
        """The right answer as text; None for an example that has no such answer.

        Raises:
            ValueError: it cannot be written as text; the message says why.
        """
        ...

    def question(self, text: str, labels: Sequence[str]) -> Example:
        """A text as a question."""
        ...

    def outputs(self, labels: Sequence[str]) -> Sequence[str]:
        """Names of the logits."""
        ...

    def targets(self, answers: Sequence[str | None], labels: Sequence[str]) -> torch.Tensor:
        """What is to be learned, one entry for each row; anything where there is no answer."""
        ...

    def loss(self, logits_bk: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Summed loss of the rows; `logits_bk` is float32."""
        ...

    def distributions(self, logits_k: torch.Tensor) -> torch.Tensor:
        """Probabilities that answer a row, [m, v]."""
        ...

    def read(self, logits_k: torch.Tensor, labels: Sequence[str]) -> tuple[str, dict[str, float]]:
        """The answer as text, and the log-probability of each label."""
        ...


class OneLabel:
    """The likeliest label; softmax and cross-entropy."""

    form: ClassVar[Form] = "plain"
    baselines: ClassVar[Sequence[str]] = ("majority", "tfidf")

    def label(self, example: Example) -> str | None:
        """The label of a labelled text."""
        return example.label if isinstance(example, Labelled) else None

    def question(self, text: str, labels: Sequence[str]) -> Example:
        """A labelled text."""
        return Labelled(text, labels[0])

    def outputs(self, labels: Sequence[str]) -> Sequence[str]:
        """One for each label."""
        return labels

    def targets(self, answers: Sequence[str | None], labels: Sequence[str]) -> torch.Tensor:
        """Class numbers, int64 [b]."""
        import torch

        numbers = {label: number for number, label in enumerate(labels)}
        return torch.tensor([numbers.get(answer or "", -100) for answer in answers])

    def loss(self, logits_bk: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Cross-entropy."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(logits_bk, targets, reduction="sum")

    def distributions(self, logits_k: torch.Tensor) -> torch.Tensor:
        """The labels, [1, k]."""
        return logits_k.softmax(-1)[None]

    def read(self, logits_k: torch.Tensor, labels: Sequence[str]) -> tuple[str, dict[str, float]]:
        """The label with the highest probability."""
        scores = dict(zip(labels, logits_k.log_softmax(-1).tolist(), strict=True))
        return max(scores, key=lambda label: scores[label]), scores


class SeveralLabels:
    """Every label by itself; a sigmoid each, and binary cross-entropy summed over them."""

    form: ClassVar[Form] = "labels"
    baselines: ClassVar[Sequence[str]] = ("commonest_labels", "tfidf_labels")

    def label(self, example: Example) -> str | None:
        """The labels in alphabetical order; a single label counts as all of them."""
        if not isinstance(example, MultiLabelled | Labelled):
            return None
        if bad := [label for label in example.classes if "|" in label]:
            raise ValueError(f"the label '{bad[0]}' has a | in it, which stands between several labels")
        return BETWEEN_LABELS.join(sorted(example.classes))

    def question(self, text: str, labels: Sequence[str]) -> Example:
        """A text with labels."""
        return MultiLabelled(text, ())

    def outputs(self, labels: Sequence[str]) -> Sequence[str]:
        """One for each label."""
        return labels

    def targets(self, answers: Sequence[str | None], labels: Sequence[str]) -> torch.Tensor:
        """1 where a label is true, float32 [b, k]."""
        import torch

        named = [set(names_in(answer or "", self.form)) for answer in answers]
        return torch.tensor([[float(label in true) for label in labels] for true in named])

    def loss(self, logits_bk: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Binary cross-entropy, summed over the labels."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        return binary_cross_entropy_with_logits(logits_bk, targets, reduction="sum")

    def distributions(self, logits_k: torch.Tensor) -> torch.Tensor:
        """Each label against its absence, [k, 2]."""
        import torch

        return torch.stack([logits_k.sigmoid(), (-logits_k).sigmoid()], -1)

    def read(self, logits_k: torch.Tensor, labels: Sequence[str]) -> tuple[str, dict[str, float]]:
        """The labels with a probability above a half."""
        from torch.nn.functional import logsigmoid

        scores = dict(zip(labels, logsigmoid(logits_k).tolist(), strict=True))
        chosen = sorted(label for label, score in scores.items() if score > math.log(0.5))
        return BETWEEN_LABELS.join(chosen), scores


class Number:
    """A number as it stands in the data, not rescaled; squared error."""

    form: ClassVar[Form] = "number"
    baselines: ClassVar[Sequence[str]] = ("mean", "tfidf_ridge")

    def label(self, example: Example) -> str | None:
        """The score, so that reading it back gives the same number."""
        return repr(example.score) if isinstance(example, Scored) else None

    def question(self, text: str, labels: Sequence[str]) -> Example:
        """A text with a score."""
        return Scored(text, 0.0)

    def outputs(self, labels: Sequence[str]) -> Sequence[str]:
        """One."""
        return ("score",)

    def targets(self, answers: Sequence[str | None], labels: Sequence[str]) -> torch.Tensor:
        """The numbers, float32 [b]."""
        import torch

        return torch.tensor([float(answer or 0.0) for answer in answers])

    def loss(self, logits_bk: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Squared error."""
        return (logits_bk[:, 0] - targets).square().sum()

    def distributions(self, logits_k: torch.Tensor) -> torch.Tensor:
        """[[asinh(x), 0]], so that half the sum of differences is half of that between two numbers near zero, and half
        of the relative difference between large ones.
        """
        import torch

        return torch.stack([logits_k.asinh(), torch.zeros_like(logits_k)], -1)

    def read(self, logits_k: torch.Tensor, labels: Sequence[str]) -> tuple[str, dict[str, float]]:
        """The number, in six digits."""
        return f"{float(logits_k[0]):.6g}", {}


def prediction(
    row: TokenSequence, answer: str, form: Form, scores: dict[str, float], loss: float | None, tokens: int = 1
) -> Prediction:
    """An answer that is always a valid one; `loss` counts only where a right answer is known."""
    known = loss if row.label is not None else None
    counted = tokens if known is not None else 0
    return Prediction(row.row_id, row.text, row.label, answer, answer, scores, known, counted, form)
