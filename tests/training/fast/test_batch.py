"""Micro-batches: every row once, within the limit, and found again in the flat sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.records import TokenSequence
from luthier.tasks import LearnsTokens
from luthier.tasks.causal_lm import CausalLm
from luthier.training.fast.batch import TOKENS_AT_ONCE, FlatBatch, cut
from luthier.training.fast.layout import common_beginning, lay_out

TASK = CausalLm(CausalLm.Options())
ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(1, 30)).map(
        lambda made: [*(1000 * made[0] + place for place in range(made[1])), *range(50 + made[1], 50 + sum(made[1:]))]
    ),
    min_size=1,
    max_size=12,
)
"""Rows that begin with so many tokens of one of three texts."""


def flat_batch(rows: Sequence[TokenSequence], *, share: bool, flat: bool = True) -> FlatBatch:
    return FlatBatch.of(TASK.collate(rows, 1, ()), share=share, flat=flat)


@given(ROWS, st.booleans(), st.integers(8, 200))
@settings(max_examples=80, deadline=None)
def test_every_row_once_and_within_the_limit(rows: list[list[int]], share: bool, limit: int) -> None:
    batches = cut(rows, share=share, tokens=limit)
    assert sorted(index for batch in batches for index in batch) == list(range(len(rows)))
    for batch in batches:
        if len(batch) > 1:
            saved_too_little = 8 * len(batch)  # beginnings that are too short to be shared
            chosen = [rows[index] for index in batch]
            beginning = min(common_beginning(chosen[0], row) for row in chosen)
            most = limit + (beginning + saved_too_little if share else 0)
            assert len(lay_out(chosen, share=share).tokens_t) <= most
    if not share:
        assert [index for batch in batches for index in batch] == list(range(len(rows))), "the order of the step"
        joined = [sum(len(rows[index]) for index in (*one, two[0])) for one, two in pairwise(batches)]
        assert all(tokens > limit for tokens in joined), "a batch ends where the next row does not fit"


def test_rows_that_begin_alike_come_together() -> None:
    head, other = list(range(100, 160)), list(range(200, 260))
    rows = [[*head, 1], [*other, 2], [*head, 3], [*other, 4], [*head, 5]]
    assert sorted(sorted(batch) for batch in cut(rows, share=True, tokens=70)) == [[0, 2, 4], [1, 3]]
    assert len(cut(rows, share=False, tokens=70)) == 5
    assert len(cut(rows, share=True)) == 1
    assert len(cut([list(range(TOKENS_AT_ONCE))] * 2, share=False)) == 2


def test_a_long_beginning_is_computed_once() -> None:
    document = list(range(1200))
    rows = [[*document, *range(2000 + 50 * number, 2040 + 50 * number)] for number in range(16)]
    assert [len(batch) for batch in cut(rows, share=True)] == [16]
    assert [len(batch) for batch in cut(rows, share=False)] == [1] * 16
    assert [len(batch) for batch in cut([row * 2 for row in rows], share=True)] == [1] * 16, "all of it is their own"


def test_a_configured_size_is_kept() -> None:
    rows = [[number] * (number + 1) for number in range(7)]
    assert [len(batch) for batch in cut(rows, share=False, size=3, tokens=1)] == [3, 3, 1]


@given(ROWS)
@settings(max_examples=30, deadline=None)
def test_tokens_are_found_again(rows: list[list[int]]) -> None:
    made = [TokenSequence(ids, [True] * len(ids), 1, number) for number, ids in enumerate(rows)]
    apart, shared = (flat_batch(made, share=share) for share in (False, True))
    assert apart.computed == sum(map(len, rows)) >= shared.computed == len(lay_out(rows, share=True).tokens_t)
    for batch in (apart, shared):
        numbers = torch.tensor([number for number, ids in enumerate(rows) for _ in ids])
        places = torch.tensor([place for ids in rows for place in range(len(ids))])
        index = batch.at(numbers, places)
        assert batch.input_ids_1t[0, index].tolist() == [token for ids in rows for token in ids]
        assert batch.positions_1t[0, index].tolist() == places.tolist()


def test_no_padding_but_when_it_is_asked_for(awkward: list[TokenSequence]) -> None:
    longest = max(len(row.ids) for row in awkward)
    assert flat_batch(awkward, share=False).computed == sum(len(row.ids) for row in awkward)
    assert flat_batch(awkward, share=False, flat=False).computed == len(awkward) * longest


def test_what_is_learned_stays_what_the_task_says(awkward: list[TokenSequence]) -> None:
    assert isinstance(TASK, LearnsTokens)
    batch = flat_batch(awkward, share=True)
    rows, positions, targets = TASK.predicted(batch.batch)
    assert len(targets) == batch.batch.count == sum(sum(row.supervised) for row in awkward)
    predicting = batch.input_ids_1t[0, batch.at(rows, positions)].tolist()
    pairs = [
        (row.ids[place - 1], row.ids[place])
        for row in awkward
        for place in range(1, len(row.ids))
        if row.supervised[place]
    ]
    assert list(zip(predicting, targets.tolist(), strict=True)) == pairs


@pytest.mark.parametrize("share", [False, True])
def test_nothing_learned_is_no_index(share: bool, row: Callable[..., TokenSequence]) -> None:
    batch = flat_batch([row([5, 6, 7], [], 0)], share=share)
    none = torch.zeros(0, dtype=torch.int64)
    assert batch.at(none, none).dtype == torch.int64
