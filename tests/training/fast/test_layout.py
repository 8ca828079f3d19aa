"""Layouts: every row is there, every token sees its own row's beginning, and what is common stands once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.training.fast.layout import MIN_SAVED, Layout, common_beginning, in_sharing_order, lay_out

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=24)
"""Few different tokens, so that beginnings are often common."""


@st.composite
def alike(draw: st.DrawFn) -> list[list[int]]:
    """Rows, some of which go on where others stopped, or are the same."""
    rows = draw(st.lists(TOKENS, min_size=1, max_size=4))
    for _ in range(draw(st.integers(0, 5))):
        base = draw(st.sampled_from(rows))
        cut = draw(st.integers(0, len(base)))
        rows.append([*base[:cut], *draw(TOKENS)] if draw(st.booleans()) else list(base))
    return draw(st.permutations(rows))


def seen_by_segments(layout: Layout) -> set[tuple[int, int]]:
    """(i, j) for every token j that token i may attend to."""
    return {
        (segment.start + place, int(j))
        for segment in layout.segments
        for place in range(segment.length)
        for j in segment.keys[: segment.depth + place + 1]
    }


@given(alike(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_token_sees_the_beginning_of_its_row(rows: list[list[int]], share: bool) -> None:
    layout = lay_out(rows, share=share)
    for row, places in zip(rows, layout.rows, strict=True):
        assert layout.tokens_t[places].tolist() == row
        assert layout.positions_t[places].tolist() == list(range(len(row)))
    in_rows = {(int(p[i]), int(p[j])) for p in layout.rows for i in range(len(p)) for j in range(i + 1)}
    assert seen_by_segments(layout) == in_rows
    ends, count = layout.end_t, len(layout.tokens_t)
    assert {(i, j) for i in range(count) for j in range(count) if j <= i < ends[j]} == in_rows


@given(alike(), st.booleans(), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_places_in_front_are_seen_by_all_rows(rows: list[list[int]], share: bool, front: int) -> None:
    layout = lay_out(rows, share=share, front=front)
    assert layout.tokens_t[:front].tolist() == [-1] * front
    for row, places in zip(rows, layout.rows, strict=True):
        assert layout.tokens_t[places].tolist() == row
        assert layout.positions_t[places].tolist() == list(range(front, front + len(row)))
    whole = [[*range(front), *places.tolist()] for places in layout.rows]
    assert seen_by_segments(layout) == {(p[i], p[j]) for p in whole for i in range(len(p)) for j in range(i + 1)}


@given(alike())
@settings(max_examples=100, deadline=None)
def test_segments_cover_the_tokens_once(rows: list[list[int]]) -> None:
    shared, apart = lay_out(rows, share=True), lay_out(rows, share=False)
    assert [segment.start for segment in shared.segments] == np.cumsum(
        [0, *(segment.length for segment in shared.segments)]
    ).tolist()[:-1]
    assert sum(segment.length for segment in shared.segments) == len(shared.tokens_t)
    assert len(apart.tokens_t) == sum(map(len, rows)) >= len(shared.tokens_t)
    assert all(not segment.above for segment in apart.segments)


def test_a_common_beginning_stands_once() -> None:
    head = list(range(10))
    rows = [[*head, 1, 2], [7, 7], [*head, 3], head]
    layout = lay_out(rows, share=True)
    assert len(layout.tokens_t) == 10 + 2 + 1 + 2
    assert (layout.rows[0][:10] == layout.rows[2][:10]).all()
    assert (layout.rows[3] == layout.rows[0][:10]).all()


def test_beginnings_are_nested() -> None:
    outer, inner = list(range(10)), list(range(20, 32))
    rows = [[*outer, *inner, 1], [*outer, *inner, 2, 3], [*outer, 4]]
    layout = lay_out(rows, share=True)
    assert len(layout.tokens_t) == 10 + 12 + 1 + 2 + 1
    assert sorted(segment.depth for segment in layout.segments) == [0, 10, 10, 22, 22]


def test_the_same_row_twice_is_computed_once() -> None:
    layout = lay_out([list(range(9)), list(range(9))], share=True)
    assert len(layout.tokens_t) == 9
    assert (layout.rows[0] == layout.rows[1]).all()


@pytest.mark.parametrize(("common", "shared"), [(MIN_SAVED, True), (MIN_SAVED - 1, False)])
def test_what_saves_too_little_is_not_shared(common: int, shared: bool) -> None:
    head = list(range(100, 100 + common))
    layout = lay_out([[*head, 1, 2], [*head, 3, 4]], share=True)
    assert len(layout.tokens_t) == 2 * (common + 2) - (common if shared else 0)


@given(alike())
@settings(max_examples=50, deadline=None)
def test_rows_that_begin_alike_are_neighbours(rows: list[list[int]]) -> None:
    order = in_sharing_order(rows)
    assert sorted(order) == list(range(len(rows)))
    for at, index in enumerate(order):
        nearest = max((common_beginning(rows[index], rows[other]) for other in order if other != index), default=0)
        beside = [order[place] for place in (at - 1, at + 1) if 0 <= place < len(order)]
        assert nearest == max((common_beginning(rows[index], rows[other]) for other in beside), default=0)


@pytest.mark.parametrize(
    ("left", "right", "expected"), [([], [1], 0), ([1, 2], [1, 2], 2), ([1, 2, 3], [1, 2], 2), ([1, 2], [2, 2], 0)]
)
def test_common_beginning(left: list[int], right: list[int], expected: int) -> None:
    assert common_beginning(left, right) == expected
