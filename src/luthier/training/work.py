"""What the steps of a run compute, counted on its own rows: tokens, padding, shared beginnings, micro-batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from luthier.config import RunConfig
from luthier.data.prepare import Prepared
from luthier.data.records import TokenSequence
from luthier.training.order import Order, micro_batches

SAMPLE_STEPS = 200
"""Optimiser steps whose rows are looked at, spread over the run; the others are taken to be like them."""


@dataclass(frozen=True)
class Work:
    """What all steps of a run compute.

    Attributes:
        steps: optimiser steps.
        tokens: real tokens in all of them.
        computed: tokens that go through the layers: padding and virtual ones count, a shared beginning counts once.
        squares: sum of the squared lengths of the sequences.
        supervised: tokens that are learned.
        micro_batches: calls of the network.
        compared: whether the base answers beside it, in a forward pass of its own: rows are preferences.
        largest: (computed tokens, supervised tokens, rows) of the largest micro-batch.
        longest: (computed tokens, supervised tokens) of the longest row by itself.
    """

    steps: int
    tokens: int
    computed: int
    squares: float
    supervised: int
    micro_batches: int
    compared: bool
    largest: tuple[int, int, int]
    longest: tuple[int, int]


def count_work(config: RunConfig, prepared: Prepared, *, fast: bool, share: bool, virtual: int = 0) -> Work:
    """Counts what some steps compute, and scales it to all.

    Args:
        config: the run.
        prepared: its rows.
        fast: whether the fast engine cuts steps into micro-batches, or the reference engine.
        share: whether the fast engine computes common beginnings once.
        virtual: tokens that the method puts in front of every sequence.
    """
    training, rows = config.training, prepared.train
    order = Order.for_run(config, rows)
    total = order.total_steps(training.epochs, training.max_steps)
    sampled = np.unique(np.linspace(1, total, min(total, SAMPLE_STEPS)).round().astype(int)).tolist()
    cut = partial(_flat, share=share, virtual=virtual) if fast else partial(_padded, virtual=virtual)
    batches = [
        batch for step in sampled for batch in cut([rows[row] for row in order.rows(step)], training.micro_batch)
    ]
    taken = [row for _, batch in batches for row in batch]
    read = [_sequences(batch) for _, batch in batches]
    supervised = [sum(row.supervised_count for row in sequences) for sequences in read]
    scale = order.rows_seen(total) / len(taken)  # by rows, not steps: the last step of an epoch may be small
    longest = rows[int(np.argmax(rows.lengths))]
    return Work(
        steps=total,
        tokens=round(sum(len(row.ids) + len(row.rejected) for row in taken) * scale),
        computed=round(sum(computed for computed, _ in batches) * scale),
        squares=float(sum((len(row.ids) + virtual) ** 2 for sequences in read for row in sequences)) * scale,
        supervised=round(sum(supervised) * scale),
        micro_batches=round(len(batches) * scale),
        compared=any(row.rejected for row in taken),
        largest=max((n, learned, len(batch)) for (n, batch), learned in zip(batches, supervised, strict=True)),
        longest=(_padded_tokens([longest], virtual), sum(row.supervised_count for row in _sequences([longest]))),
    )


Cut = Iterator[tuple[int, Sequence[TokenSequence]]]


def _sequences(rows: Sequence[TokenSequence]) -> list[TokenSequence]:
    """What the network reads of rows: a preference is two sequences, the prompt with either answer."""
    return [each for row in rows for each in ((row, row.with_rejected()) if row.rejected else (row,))]


def _padded_tokens(rows: Sequence[TokenSequence], virtual: int) -> int:
    lengths = [len(row.ids) + virtual for row in _sequences(rows)]
    return len(lengths) * max(lengths)


def _padded(rows: Sequence[TokenSequence], size: int | str, *, virtual: int) -> Cut:
    """(computed tokens, rows) of the reference engine's micro-batches."""
    for batch in micro_batches([len(row.ids) + len(row.rejected) for row in rows], size):
        chosen = [rows[index] for index in batch]
        yield _padded_tokens(chosen, virtual), chosen


def _flat(rows: Sequence[TokenSequence], size: int | str, *, share: bool, virtual: int) -> Cut:
    """(computed tokens, rows) of the fast engine's micro-batches."""
    from luthier.training.fast.batch import cut
    from luthier.training.fast.layout import lay_out

    for batch in cut([row.ids for row in rows], share=share, size=None if size == "auto" else int(size)):
        chosen = [rows[index] for index in batch]
        yield len(lay_out([row.ids for row in chosen], share=share, front=virtual).tokens_t), chosen
