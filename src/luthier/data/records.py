"""What a task makes of an example, and the batches a model takes.

Shapes: b = rows in a batch, t = tokens of its longest row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """One tokenised row: the record of every task so far.

    Attributes:
        ids: token ids of the whole row.
        supervised: for each token, whether it is learned; all False for a classifier with a head.
        prompt_length: tokens before the last learned turn; ids[:prompt_length] is what a server would send, or what an
            encoder reads.
        row_id: the row's id in the ledger.
        text: the text a plain classifier would read (labelled text, or the last user message).
        label: the expected answer, as text: the label, or the last assistant message; None for documents.
        truncated: how many tokens were cut.
        rejected: tokens of a worse answer behind the same prompt, where rows are preferences.
        source: place of its source among those of its split in the configuration.
    """

    ids: Sequence[int]
    supervised: Sequence[bool]
    prompt_length: int
    row_id: int
    text: str = ""
    label: str | None = None
    truncated: int = 0
    rejected: Sequence[int] = ()
    source: int = 0

    @property
    def supervised_count(self) -> int:
        """Number of learned tokens."""
        return sum(self.supervised)

    def with_rejected(self) -> TokenSequence:
        """The worse answer behind the same prompt, as a row of its own."""
        prompt = list(self.ids[: self.prompt_length])
        learned = [False] * len(prompt) + [True] * len(self.rejected)
        return replace(self, ids=[*prompt, *self.rejected], supervised=learned, rejected=())


@dataclass(frozen=True, slots=True)
class Batch:
    """What a model takes: rows padded on the right to the longest one.

    Attributes:
        input_ids_bt: token ids.
        attention_mask_bt: 1 for real tokens.
        targets: for language models [b, t] the token ids to learn, -100 elsewhere, NOT shifted (the loss shifts them,
            in one place); for encoder-decoders [b, u] the targets, -100 behind them, not shifted either; for
            classifiers [b] the class numbers.
        row_ids: ids in the ledger, for error messages.
        count: what the summed loss is divided by: supervised tokens of a language model, rows of a classifier.
    """

    input_ids_bt: torch.Tensor
    attention_mask_bt: torch.Tensor
    targets: torch.Tensor
    row_ids: Sequence[int]
    count: int

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        ids_bt, mask_bt, targets = (t.to(device) for t in (self.input_ids_bt, self.attention_mask_bt, self.targets))
        return Batch(ids_bt, mask_bt, targets, self.row_ids, self.count)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be learned from, with the reason for the ledger, such as "too long: 900 tokens"."""

    reason: str


Encoded = list[TokenSequence] | Rejected
"""One example encoded: usually one sequence, several when a document is split, or the reason why not."""
