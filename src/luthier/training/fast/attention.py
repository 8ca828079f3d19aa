"""Attention over flat rows, reached from the models of `transformers` through their `AttentionInterface`.

Segments of the same depth are put side by side by length, so that a few calls of the fused kernel cover a layer; keys
of shared beginnings are read by all segments below them. Only the flat queries, keys, values and outputs are kept for
the backward pass, and no mask of a whole row is ever built.

Shapes: t = flat tokens, h = query heads, g = key heads, d = head width, n = segments of a group, s = its longest one,
p = tokens above it, k = p + s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softmax

from luthier.training.fast.layout import Layout, Segment
from luthier.training.order import cheapest_batches

NAME = "luthier_flat"
"""What `config._attn_implementation` is while the fast engine runs."""

BLOCK = 512
"""Queries of a segment that share a mask: masks have at most this many rows."""

Index = torch.Tensor


@dataclass(frozen=True)
class Group:
    """Segments of one depth and similar length, side by side.

    Attributes:
        queries: flat index of every query, [n * s]; padded places repeat the segment's first token.
        keys: flat index of every key, [n * k].
        real: places of [n * s] that are no padding; None when all are.
        size: (n, s, p).
        lengths_n: tokens of each segment.
    """

    queries: Index
    keys: Index
    real: Index | None
    size: tuple[int, int, int]
    lengths_n: Index


@dataclass
class FlatAttention:
    """What the attention function needs to know of a micro-batch: it is passed to the model's forward as `flat`.

    Attributes:
        calls: how often the function was reached.
        causal: whether no call was bidirectional.
    """

    groups: list[Group]
    tokens: int
    calls: int = 0
    causal: bool = True

    @classmethod
    def of(cls, layout: Layout, device: torch.device) -> FlatAttention:
        """Groups the segments of a layout."""
        by_depth: dict[int, list[Segment]] = defaultdict(list)
        for segment in layout.segments:
            by_depth[segment.depth].append(segment)
        groups = [
            _group([segments[index] for index in chosen], device)
            for segments in by_depth.values()
            for chosen in cheapest_batches([segment.length for segment in segments])
        ]
        return cls(groups, len(layout.tokens_t))


def _group(segments: list[Segment], device: torch.device) -> Group:
    n, s, p = len(segments), max(segment.length for segment in segments), segments[0].depth
    queries, keys = np.empty((n, s), np.int64), np.empty((n, p + s), np.int64)
    for index, segment in enumerate(segments):
        queries[index], keys[index] = segment.start, segment.start
        queries[index, : segment.length] = np.arange(segment.start, segment.start + segment.length)
        keys[index, : len(segment.keys)] = segment.keys
    lengths = np.array([segment.length for segment in segments])
    real = None
    if (lengths != s).any():
        real = torch.from_numpy(np.flatnonzero((np.arange(s) < lengths[:, None]).ravel())).to(device)
    return Group(
        torch.from_numpy(queries.ravel()).to(device),
        torch.from_numpy(keys.ravel()).to(device),
        real,
        (n, s, p),
        torch.from_numpy(lengths).to(device),
    )


def flat_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    flat: FlatAttention,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    is_causal: bool | None = None,
    s_aux: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function of `AttentionInterface`: query [1, h, t, d], key and value [1, g, t, d] -> [1, t, h, d].

    Raises:
        NotImplementedError: the model's attention does more than this function knows.
    """
    if s_aux is not None or query.shape[0] != 1 or query.shape[2] != flat.tokens or key.shape[2] != flat.tokens:
        raise NotImplementedError("its attention has parts that flat rows do not cover")
    causal = is_causal if is_causal is not None else getattr(module, "is_causal", True)
    flat.calls += 1
    flat.causal &= causal
    how = _How(scaling if scaling is not None else query.shape[-1] ** -0.5, causal, sliding_window, softcap, dropout)
    q_thd, k_tgd, v_tgd = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    if query.device.type == "cpu" and not softcap and not dropout and k_tgd.shape[-1] == v_tgd.shape[-1]:
        out_thd: torch.Tensor = _Fused.apply(q_thd, k_tgd, v_tgd, flat.groups, how)  # type: ignore[no-untyped-call]
    else:
        out_thd = _plain(q_thd, k_tgd, v_tgd, flat.groups, how)
    return out_thd[None], None


@dataclass(frozen=True)
class _How:
    """What kind of attention a layer has. A window lets a token see that many tokens, itself included."""

    scale: float
    causal: bool
    window: int | None
    softcap: float | None
    dropout: float


@dataclass(frozen=True)
class _Block:
    """Queries `begin` to `end` of a group against its keys `first` to `last`.

    `triangle` says that they need no mask but the kernel's own causal one; otherwise `mask` is added to the scores.
    """

    begin: int
    end: int
    first: int
    last: int
    triangle: bool
    mask: torch.Tensor | None


def _blocks(group: Group, how: _How, like: torch.Tensor, *, triangles: bool = True) -> Iterator[_Block]:
    """The parts of a group's attention; without `triangles` every causal one has a mask."""
    _, s, p = group.size
    if not how.causal:
        yield _Block(0, s, 0, s, False, _mask_of_lengths(group, how, like))
        return
    windowed = how.window is not None and how.window < p + s
    if triangles and not p and not windowed:
        yield _Block(0, s, 0, s, True, None)
        return
    for begin in range(0, s, BLOCK):
        end = min(begin + BLOCK, s)
        first = max(0, p + begin + 1 - (how.window or 0)) if windowed else 0
        queries = torch.arange(p + begin, p + end, device=like.device)[:, None]
        distance = queries - torch.arange(first, p + end, device=like.device)
        hidden = distance < 0
        if windowed:
            hidden |= distance >= (how.window or 0)
        yield _Block(begin, end, first, p + end, False, _additive(hidden, like))


def _mask_of_lengths(group: Group, how: _How, like: torch.Tensor) -> torch.Tensor | None:
    """Bidirectional: hides padding, and what is outside of the window."""
    _, s, _ = group.size
    places = torch.arange(s, device=like.device)
    hidden = (places >= group.lengths_n[:, None])[:, None, None, :] if group.real is not None else None
    if how.window is not None and how.window < s:
        far = (places[:, None] - places).abs() >= how.window
        hidden = far if hidden is None else hidden | far
    return None if hidden is None else _additive(hidden, like)


def _additive(hidden: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    # A finite number: a padded query may see nothing at all, and its output is thrown away.
    return torch.zeros(hidden.shape, dtype=like.dtype, device=like.device).masked_fill_(hidden, -1e30)


def _side_by_side(flat_thd: torch.Tensor, index: Index, n: int) -> torch.Tensor:
    """Rows of a flat tensor as [n, h, s, d]."""
    return flat_thd.index_select(0, index).view(n, -1, *flat_thd.shape[1:]).transpose(1, 2)


class _Fused(torch.autograd.Function):
    """The fused kernel of torch for the CPU, group by group; the backward pass gathers its inputs again."""

    @staticmethod
    def forward(
        ctx: Any, q_thd: torch.Tensor, k_tgd: torch.Tensor, v_tgd: torch.Tensor, groups: list[Group], how: _How
    ) -> torch.Tensor:
        out_thd = q_thd.new_empty(q_thd.shape)
        sums = []
        for group in groups:
            q, k, v = _gathered(group, q_thd, k_tgd, v_tgd)
            for block in _blocks(group, how, q):
                out, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                    q[:, :, block.begin : block.end],
                    k[:, :, block.first : block.last],
                    v[:, :, block.first : block.last],
                    0.0,
                    block.triangle,
                    attn_mask=block.mask,
                    scale=how.scale,
                )
                sums.append(log_sum)
                _put(out_thd, out, group, block)
        ctx.save_for_backward(q_thd, k_tgd, v_tgd, out_thd, *sums)
        ctx.groups, ctx.how = groups, how
        return out_thd

    @staticmethod
    def backward(ctx: Any, grad_thd: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q_thd, k_tgd, v_tgd, out_thd, *sums = ctx.saved_tensors
        dq_thd, dk_tgd, dv_tgd = torch.empty_like(q_thd), torch.zeros_like(k_tgd), torch.zeros_like(v_tgd)
        log_sums = iter(sums)
        for group in ctx.groups:
            n, s, _ = group.size
            q, k, v = _gathered(group, q_thd, k_tgd, v_tgd)
            out, grad = _side_by_side(out_thd, group.queries, n), _side_by_side(grad_thd, group.queries, n)
            if group.real is not None:  # padded places repeat a token whose gradient must count once
                grad = grad * (torch.arange(s, device=grad.device) < group.lengths_n[:, None])[:, None, :, None]
            for block in _blocks(group, ctx.how, q):
                own, seen = slice(block.begin, block.end), slice(block.first, block.last)
                dq, dk, dv = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                    grad[:, :, own],
                    q[:, :, own],
                    k[:, :, seen],
                    v[:, :, seen],
                    out[:, :, own],
                    next(log_sums),
                    0.0,
                    block.triangle,
                    attn_mask=block.mask,
                    scale=ctx.how.scale,
                )
                _put(dq_thd, dq, group, block)
                keys = group.keys.view(n, -1)[:, seen].flatten()
                dk_tgd.index_add_(0, keys, dk.transpose(1, 2).flatten(0, 1))
                dv_tgd.index_add_(0, keys, dv.transpose(1, 2).flatten(0, 1))
        return dq_thd, dk_tgd, dv_tgd, None, None


def _gathered(group: Group, q_thd: torch.Tensor, k_tgd: torch.Tensor, v_tgd: torch.Tensor) -> tuple[torch.Tensor, ...]:
    n = group.size[0]
    return (
        _side_by_side(q_thd, group.queries, n),
        _side_by_side(k_tgd, group.keys, n),
        _side_by_side(v_tgd, group.keys, n),
    )


def _put(target_thd: torch.Tensor, values_nhsd: torch.Tensor, group: Group, block: _Block) -> None:
    """Writes a block's results to their flat places."""
    n, s, _ = group.size
    queries, values = group.queries, values_nhsd.transpose(1, 2)
    if (block.begin, block.end) != (0, s):
        inside = torch.arange(block.begin, block.end, device=values.device).expand(n, -1)
        real = inside < group.lengths_n[:, None]
        target_thd.index_copy_(0, queries.view(n, s)[:, block.begin : block.end][real], values[real])
        return
    values = values.flatten(0, 1)
    if group.real is not None:
        queries, values = queries[group.real], values[group.real]
    target_thd.index_copy_(0, queries, values)


def _plain(
    q_thd: torch.Tensor, k_tgd: torch.Tensor, v_tgd: torch.Tensor, groups: list[Group], how: _How
) -> torch.Tensor:
    """The same from plain matrix products, for soft-capping, dropout and other devices."""
    out_thd = q_thd.new_empty(*q_thd.shape[:2], v_tgd.shape[-1])
    repeats = q_thd.shape[1] // k_tgd.shape[1]
    for group in groups:
        q, k, v = _gathered(group, q_thd, k_tgd, v_tgd)
        k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
        for block in _blocks(group, how, q, triangles=False):
            scores = q[:, :, block.begin : block.end] @ k[:, :, block.first : block.last].transpose(2, 3) * how.scale
            if how.softcap:
                scores = torch.tanh(scores / how.softcap) * how.softcap
            if block.mask is not None:
                scores = scores + block.mask
            weights = torch.dropout(softmax(scores, -1, dtype=torch.float32).to(q.dtype), how.dropout, True)
            _put(out_thd, weights @ v[:, :, block.first : block.last], group, block)
    return out_thd
