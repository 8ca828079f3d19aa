"""Rows without padding, what several of them begin with stored once.

The rows of a micro-batch form a trie: a node holds tokens, its children go on behind it. The tokens of all nodes, depth
first, are one sequence; a token attends to the nodes above it and, causally, to its own. For three rows, two of which
begin with the same instruction I:

    rows     I a b | I c | x y z
    nodes    I -> [a b], [c]     x y z
    tokens   I a b c x y z       computed once each

Shapes: t = computed tokens of the micro-batch, n = segments side by side, s = their longest, p = tokens above them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

MIN_SAVED = 8
"""Tokens that sharing must save at a node: one more group of segments in every layer costs about as much as a token."""


@dataclass(frozen=True)
class Segment:
    """The tokens of a node, `start` to `start + length` in the flat sequence, behind those of the nodes above it."""

    start: int
    length: int
    above: tuple[tuple[int, int], ...]
    """(start, length) of every node above, from the root."""

    @property
    def depth(self) -> int:
        """Tokens of the row before this segment."""
        return sum(length for _, length in self.above)

    @cached_property
    def keys(self) -> Ints:
        """Flat indices of all tokens it may attend to: those above and its own."""
        ranges = [np.arange(start, start + length) for start, length in (*self.above, (self.start, self.length))]
        return np.concatenate(ranges)


@dataclass
class Layout:
    """Where the tokens of some rows stand.

    Attributes:
        tokens_t: token ids.
        positions_t: each token's position in its row.
        segments: the nodes, in flat order.
        rows: flat index of every token of each row, in the order of the rows given.
    """

    tokens_t: Ints
    positions_t: Ints
    segments: list[Segment]
    rows: list[Ints]

    @property
    def end_t(self) -> Ints:
        """Where the subtree of each token's node ends: j is visible to i, causally, if and only if j <= i < end[j]."""
        ends = np.zeros(len(self.tokens_t), np.int64)
        for segment in self.segments:
            for start, length in (*segment.above, (segment.start, segment.length)):
                ends[start : start + length] = segment.start + segment.length
        return ends


def lay_out(rows: Sequence[Sequence[int]], *, share: bool, front: int = 0) -> Layout:
    """Builds the layout of some rows.

    Args:
        rows: token ids of each row.
        share: whether common beginnings are one segment; without it every row is a segment of its own.
        front: places in front of all rows that hold no token of theirs: the first segment, with -1 for tokens.
    """
    builder = _Builder([[-1] * front + list(row) for row in rows])
    above = builder.add(builder.source[0], 0, front, ()) if rows else ()
    for group in builder.roots(share):
        builder.grow(group, front, above)
    tokens = np.concatenate(builder.tokens) if builder.tokens else np.zeros(0, np.int64)
    positions = np.concatenate(builder.positions) if builder.positions else np.zeros(0, np.int64)
    return Layout(tokens, positions, builder.segments, [builder.flat[index][front:] for index in range(len(rows))])


def in_sharing_order(rows: Sequence[Sequence[int]]) -> list[int]:
    """Indices of rows, those that begin alike side by side."""
    return sorted(range(len(rows)), key=lambda index: (list(rows[index]), index))


def common_beginning(left: Sequence[int], right: Sequence[int]) -> int:
    """How many first tokens two rows have in common."""
    limit = min(len(left), len(right))
    return next((index for index in range(limit) if left[index] != right[index]), limit)


@dataclass
class _Builder:
    """Grows the trie depth first."""

    source: list[list[int]]
    tokens: list[Ints] = field(default_factory=list)
    positions: list[Ints] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    flat: dict[int, Ints] = field(default_factory=dict)
    size: int = 0

    def roots(self, share: bool) -> list[list[int]]:
        """The groups to begin with: all rows together, or each one alone."""
        return [in_sharing_order(self.source)] if share else [[index] for index in range(len(self.source))]

    def grow(self, group: list[int], depth: int, above: tuple[tuple[int, int], ...]) -> None:
        """Adds the nodes of rows that agree on their first `depth` tokens, which stand in `above`.

        Args:
            group: row numbers, sorted by their tokens: what first and last have in common, all have.
        """
        first, last = self.source[group[0]], self.source[group[-1]]
        agreed = common_beginning(first, last)
        if len(group) == 1 or (agreed - depth) * (len(group) - 1) >= MIN_SAVED:
            above = self.add(first, depth, agreed, above)
            depth = agreed
        ended = [row for row in group if len(self.source[row]) == agreed]
        for row in ended:
            self._finish(row, depth, above)
        for child in self._split(group[len(ended) :], agreed):
            self.grow(child, depth, above)

    def _split(self, group: list[int], at: int) -> Iterator[list[int]]:
        """Sorted rows by their token at a position."""
        begin = 0
        for end in range(1, len(group) + 1):
            if end == len(group) or self.source[group[end]][at] != self.source[group[begin]][at]:
                yield group[begin:end]
                begin = end

    def add(
        self, row: list[int], begin: int, end: int, above: tuple[tuple[int, int], ...]
    ) -> tuple[tuple[int, int], ...]:
        """A node with the tokens `begin` to `end` of a row; the nodes above its children."""
        if end == begin:
            return above
        self.tokens.append(np.asarray(row[begin:end], np.int64))
        self.positions.append(np.arange(begin, end))
        self.segments.append(Segment(self.size, end - begin, above))
        self.size += end - begin
        return (*above, (self.size - (end - begin), end - begin))

    def _finish(self, row: int, depth: int, above: tuple[tuple[int, int], ...]) -> None:
        """A row that ends here: what of it no node holds yet becomes one."""
        above = self.add(self.source[row], depth, len(self.source[row]), above)
        self.flat[row] = np.concatenate([np.arange(start, start + length) for start, length in above])
