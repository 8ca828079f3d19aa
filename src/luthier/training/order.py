"""Which rows each optimiser step takes: decided by the seed and the step's number alone, so resuming needs no state."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from luthier.models.inference import TOKENS_AT_ONCE
from luthier.training.mixing import Mix, Share

if TYPE_CHECKING:
    from luthier.config import RunConfig
    from luthier.data.store import Records

CALL_TOKENS = 64
"""What calling the network once more costs, in padding tokens that it would save. Steps of 16 shipped headlines then
compute 1.14 tokens for every real one, and 1.48 when only TOKENS_AT_ONCE cuts them."""


def cheapest_batches(
    lengths: Sequence[int], call_tokens: int = CALL_TOKENS, most_tokens: int = TOKENS_AT_ONCE
) -> list[list[int]]:
    """Cuts rows, the longest first, so that padded tokens and calls together cost least (dynamic programming).

    Args:
        lengths: tokens of each row.
        call_tokens: what a call costs.
        most_tokens: most padded tokens in a call, unless a single row has more.

    Returns:
        Indices of the rows of each call.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    cost, start = [0.0], [0]
    for end in range(1, len(order) + 1):
        options = [
            (cost[begin] + lengths[order[begin]] * (end - begin) + call_tokens, begin)
            for begin in range(end)
            if end - begin == 1 or lengths[order[begin]] * (end - begin) <= most_tokens
        ]
        best, begin = min(options)
        cost.append(best)
        start.append(begin)
    batches: list[list[int]] = []
    end = len(order)
    while end:
        batches.append(order[start[end] : end])
        end = start[end]
    return batches[::-1]


def micro_batches(lengths: Sequence[int], size: int | str) -> list[list[int]]:
    """Indices of a step's rows in micro-batches of similar length, the longest first.

    Args:
        lengths: tokens of each row.
        size: rows of a micro-batch, or "auto" = what is cheapest.
    """
    if size == "auto":
        return cheapest_batches(lengths)
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    return [order[start : start + int(size)] for start in range(0, len(order), int(size))]


def best_fit(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Puts whole rows together until nearly `size` tokens are full: the longest first, each where it leaves least room
    (best fit decreasing). A longer row stands alone.

    Args:
        lengths: tokens of each row.
        size: tokens of a full row.

    Returns:
        Indices of the rows in each pack; every row is in one.
    """
    packs: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (tokens left, pack), ascending
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        place = bisect_left(room, (lengths[index], -1))
        left, number = room.pop(place) if place < len(room) else (size, len(packs))
        if number == len(packs):
            packs.append([])
        packs[number].append(index)
        if left > lengths[index]:
            insort(room, (left - lengths[index], number))
    return packs


class Order:
    """The order of rows over a run.

    Every epoch is a new random permutation; nothing but chance decides which rows share a step. How an engine cuts a
    step into micro-batches changes nothing about its gradient.

    Args:
        lengths: tokens of every row.
        batch_size: rows per optimiser step.
        seed: seed of the permutations.
        mix: how often each row is seen; None = once an epoch.
        pack: tokens of a full row that short rows are put together to; `batch_size` then counts full rows.
    """

    def __init__(
        self,
        lengths: npt.ArrayLike,
        *,
        batch_size: int,
        seed: int,
        mix: Mix | None = None,
        pack: int | None = None,
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.pack = pack
        self.batch_size = batch_size
        self.mix = mix
        self.seed = seed
        self.draws = len(self._epoch(0))  # rows, or full rows, of an epoch

    @classmethod
    def for_run(cls, config: RunConfig, rows: Records) -> Order:
        """The order that a configuration asks for."""
        data, training = config.data, config.training
        return cls(
            rows.lengths,
            batch_size=training.batch_size,
            seed=training.seed,
            mix=Mix.for_run(config, rows),
            pack=data.max_length if data.pack else None,
        )

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch; the last one of an epoch may be smaller."""
        return math.ceil(self.draws / self.batch_size)

    def rows_seen(self, steps: int) -> int:
        """Rows in so many steps."""
        epochs, rest = divmod(steps, self.steps_per_epoch)
        draws = epochs * self.draws + min(rest * self.batch_size, self.draws)
        return draws if self.packs is None else round(draws * len(self.lengths) / self.draws)

    @cached_property
    def packs(self) -> list[list[int]] | None:
        """The rows in each full row, when rows are packed."""
        return best_fit(self.lengths.tolist(), self.pack) if self.pack else None

    @property
    def notes(self) -> list[str]:
        """What was put together, as a sentence."""
        if self.packs is None or not self.pack:
            return []
        rows, full = len(self.packs), self.lengths.sum() / (len(self.packs) * self.pack)
        return [f"data.pack: {len(self.lengths)} training rows fill {rows} rows of {self.pack} tokens to {full:.0%}"]

    def shares(self, steps: int) -> list[Share]:
        """What so many steps see of each label or source; empty when every row is seen once an epoch."""
        return self.mix.shares(steps / self.steps_per_epoch) if self.mix else []

    def total_steps(self, epochs: float, max_steps: int | None) -> int:
        """Optimiser steps of the whole run."""
        steps = max(1, math.ceil(round(epochs * self.steps_per_epoch, 6)))
        return min(steps, max_steps) if max_steps else steps

    def rows(self, step: int) -> list[int]:
        """Row numbers of a step, counted from 1."""
        epoch, position = divmod(step - 1, self.steps_per_epoch)
        start = position * self.batch_size
        chosen = [int(row) for row in self._cached_epoch(epoch)[start : start + self.batch_size]]
        return chosen if self.packs is None else [row for number in chosen for row in self.packs[number]]

    @lru_cache(maxsize=2)  # noqa: B019 - an order lives as long as its run
    def _cached_epoch(self, epoch: int) -> npt.NDArray[np.int64]:
        return self._epoch(epoch)

    def _epoch(self, epoch: int) -> npt.NDArray[np.int64]:
        if self.mix is not None:
            return self.mix.epoch(epoch, self.seed)
        count = len(self.lengths) if self.packs is None else len(self.packs)
        return np.random.default_rng([self.seed, epoch]).permutation(count)
