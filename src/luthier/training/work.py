"""What the steps of a run compute, counted on its own rows: tokens, padding, shared beginnings, micro-batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from luthier.config import RunConfig
from luthier.data.prepare import Prepared
from luthier.data.records import TokenSequence
from luthier.training.order import Order, cheapest_batches

SAMPLE_STEPS = 200
"""Optimiser steps whose rows are looked at, spread over the run; the others are taken to be like them."""


@dataclass(frozen=True)
class Work:
    """What all steps of a run compute.

    Attributes:
        steps: optimiser steps.
        tokens: real tokens in all of them.
        computed: tokens that go through the layers: padding counts, a shared beginning counts once.
        squares: sum of the squared lengths of the rows.
        supervised: tokens that are learned.
        micro_batches: calls of the network.
        largest: (computed tokens, supervised tokens, rows) of the largest micro-batch.
    """

    steps: int
    tokens: int
    computed: int
    squares: float
    supervised: int
    micro_batches: int
    largest: tuple[int, int, int]


def count_work(config: RunConfig, prepared: Prepared, *, fast: bool, share: bool) -> Work:
    """Counts what some steps compute, and scales it to all.

    Args:
        config: the run.
        prepared: its rows.
        fast: whether the fast engine cuts steps into micro-batches, or the reference engine.
        share: whether the fast engine computes common beginnings once.
    """
    training, rows = config.training, prepared.train
    order = Order.for_run(config, rows)
    total = order.total_steps(training.epochs, training.max_steps)
    sampled = np.unique(np.linspace(1, total, min(total, SAMPLE_STEPS)).round().astype(int)).tolist()
    size = None if training.micro_batch == "auto" else training.micro_batch
    cut = _flat if fast else _padded
    batches = [batch for step in sampled for batch in cut([rows[row] for row in order.rows(step)], size, share)]
    lengths = np.concatenate([[len(row.ids) for row in batch] for _, batch in batches]).astype(np.int64)
    supervised = [sum(row.supervised_count for row in batch) for _, batch in batches]
    scale = order.rows_seen(total) / len(lengths)  # by rows, not steps: the last step of an epoch may be small
    return Work(
        steps=total,
        tokens=round(int(lengths.sum()) * scale),
        computed=round(sum(computed for computed, _ in batches) * scale),
        squares=float((lengths**2).sum()) * scale,
        supervised=round(sum(supervised) * scale),
        micro_batches=round(len(batches) * scale),
        largest=max((n, learned, len(batch)) for (n, batch), learned in zip(batches, supervised, strict=True)),
    )


Cut = Iterator[tuple[int, Sequence[TokenSequence]]]


def _padded(rows: Sequence[TokenSequence], size: int | None, share: bool) -> Cut:
    """(computed tokens, rows) of the reference engine's micro-batches."""
    lengths = [len(row.ids) for row in rows]
    by_length = sorted(range(len(rows)), key=lambda index: -lengths[index])
    of_size = [by_length[start : start + size] for start in range(0, len(rows), size)] if size else []
    for batch in of_size or cheapest_batches(lengths):
        yield len(batch) * max(lengths[index] for index in batch), [rows[index] for index in batch]


def _flat(rows: Sequence[TokenSequence], size: int | None, share: bool) -> Cut:
    """(computed tokens, rows) of the fast engine's micro-batches."""
    from luthier.training.fast.batch import cut
    from luthier.training.fast.layout import lay_out

    for batch in cut([row.ids for row in rows], share=share, size=size):
        chosen = [rows[index] for index in batch]
        yield len(lay_out([row.ids for row in chosen], share=share).tokens_t), chosen
