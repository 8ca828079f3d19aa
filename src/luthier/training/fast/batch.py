"""Micro-batches of flat rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from luthier.data.records import Batch
from luthier.training.fast.attention import FlatAttention
from luthier.training.fast.layout import common_beginning, in_sharing_order, lay_out
from luthier.training.fast.virtual import Virtual

TOKENS_AT_ONCE = 1024
"""Computed tokens of a micro-batch. SmolLM2 on rows of 512 tokens took a step in 0.83 of the time of one row at once
with two of them, and in no less with four; memory grows with it."""

Ids = Sequence[int]


def cut(rows: Sequence[Ids], *, share: bool, tokens: int = TOKENS_AT_ONCE, size: int | None = None) -> list[list[int]]:
    """Cuts the rows of a step into micro-batches.

    With `share`, rows that begin alike stand side by side, so that their beginning is computed once; the rows of a
    step, and so its gradient, stay what they are.

    Args:
        rows: token ids of each row.
        share: whether common beginnings are computed once.
        tokens: most computed tokens of a micro-batch behind the beginning that all its rows share; a single row may
            have more.
        size: rows of a micro-batch instead, when it is configured.

    Returns:
        Indices of the rows of each micro-batch.
    """
    order = in_sharing_order(rows) if share else list(range(len(rows)))
    if size:
        return [order[start : start + size] for start in range(0, len(order), size)]
    batches: list[list[int]] = []
    used = begun = 0
    for index in order:
        shared = common_beginning(rows[batches[-1][-1]], rows[index]) if share and batches else 0
        if batches and used + len(rows[index]) - shared <= tokens + min(begun, shared):
            batches[-1].append(index)
            used, begun = used + len(rows[index]) - shared, min(begun, shared)
        else:
            batches.append([index])
            used = begun = len(rows[index])
    return batches


@dataclass
class FlatBatch:
    """Some rows as one sequence of tokens.

    Attributes:
        batch: the same rows padded, as their task made them.
        input_ids_1t: computed tokens of the rows, those of `virtual` left out.
        positions_1t: the position of each computed token in its row.
        places: flat index of every token of each row, on the CPU.
        attention: what the attention function needs.
    """

    batch: Batch
    input_ids_1t: torch.Tensor
    positions_1t: torch.Tensor
    places: list[torch.Tensor]
    attention: FlatAttention = field(repr=False)

    @classmethod
    def of(cls, batch: Batch, *, share: bool, flat: bool = True, virtual: Virtual | None = None) -> FlatBatch:
        """Lays out a padded batch, behind virtual tokens if there are any.

        Without `flat` the padding stays, as tokens like any others.
        """
        lengths = (
            batch.attention_mask_bt.sum(1).tolist() if flat else [batch.input_ids_bt.shape[1]] * len(batch.row_ids)
        )
        rows = [ids[:length] for ids, length in zip(batch.input_ids_bt.tolist(), lengths, strict=True)]
        front = virtual.count if virtual else 0
        unasked = front if virtual and virtual.keys_only else 0
        layout, device = lay_out(rows, share=share, front=front), batch.input_ids_bt.device
        return cls(
            batch,
            torch.from_numpy(layout.tokens_t[front:])[None].to(device),
            torch.from_numpy(layout.positions_t[unasked:])[None].to(device),
            [torch.from_numpy(places - unasked) for places in layout.rows],
            FlatAttention.of(layout, device, unasked),
        )

    @property
    def computed(self) -> int:
        """Tokens that go through the layers."""
        return self.positions_1t.shape[1]

    def at(self, rows_n: torch.Tensor, positions_n: torch.Tensor) -> torch.Tensor:
        """Flat indices of tokens given by row and position."""
        lengths = torch.tensor([len(places) for places in self.places])
        index_n = (lengths.cumsum(0) - lengths)[rows_n.cpu()] + positions_n.cpu()
        return torch.cat(self.places)[index_n].to(self.input_ids_1t.device)
