"""Attention over flat rows, reached from the models of `transformers` through their `AttentionInterface`.

Segments of the same depth are put side by side by length, so that a few calls of the fused kernel cover a layer; keys
of shared beginnings are read by all segments below them. Only the flat queries, keys, values and outputs are kept for
the backward pass, and no mask of a whole row is ever built.

    flat       a a a b b c c c c          tokens of the segments a, b, c
    places     c c c c | a a a b b b      groups one behind the other, their shorter segments filled up

Shapes: t = flat tokens, m = places, h = query heads, g = key heads, d = head width, n = segments of a group, s = its
longest one, p = tokens above it, k = p + s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import softmax

from luthier.training.fast import flex
from luthier.training.fast.layout import Ints, Layout, Segment
from luthier.training.order import cheapest_batches

NAME = "luthier_flat"
"""What `config._attn_implementation` is while the fast engine runs."""

BLOCK = 128
"""Queries of a segment that are computed together, against the keys up to the last of them. torch's kernel reads all
keys of a segment of up to 512 tokens, however early the query: cut into blocks, SmolLM2's attention over 512 tokens
took 0.8 of the time, over 256 and over 1 024 tokens 0.91; blocks of 64 or 256 were no better."""


@dataclass(frozen=True)
class Group:
    """Segments below the same nodes and of similar length, side by side.

    Attributes:
        begin: its first place.
        above: flat index of the tokens above, [p].
        real_ns: which places are no padding; None when all are.
        size: (n, s, p).
    """

    begin: int
    above: torch.Tensor
    real_ns: torch.Tensor | None
    size: tuple[int, int, int]

    def of(self, values_mhd: torch.Tensor) -> torch.Tensor:
        """Its own part of something by place, as [n, h, s, d]; a view."""
        n, s, _ = self.size
        return values_mhd[self.begin : self.begin + n * s].unflatten(0, (n, s)).transpose(1, 2)

    def keys(self, flat_thd: torch.Tensor, values_mhd: torch.Tensor) -> torch.Tensor:
        """The same behind the rows of the tokens above, as [n, h, k, d]."""
        own = self.of(values_mhd)
        n, _, p = self.size
        if not p:
            return own
        above_1hpd = flat_thd.index_select(0, self.above).transpose(0, 1)[None]
        return torch.cat([above_1hpd.expand(n, -1, -1, -1), own], 2)


@dataclass(frozen=True)
class Places:
    """Where the tokens of groups stand, one group behind the other.

    Attributes:
        token_m: flat index of the token at every place; padding repeats the first token of its segment.
        place_t: the place of every token.
        padding: places that are padding.
    """

    token_m: torch.Tensor
    place_t: torch.Tensor
    padding: torch.Tensor

    @classmethod
    def of(cls, groups: Sequence[Sequence[Segment]], tokens: int, device: torch.device) -> Places | None:
        """None when every token stands where it is in the flat sequence."""
        token_m, real_m = (np.concatenate(parts) for parts in zip(*map(_side_by_side, groups), strict=True))
        place_t = np.empty(tokens, np.int64)
        place_t[token_m[real_m]] = np.flatnonzero(real_m)
        if len(token_m) == tokens and bool((token_m == np.arange(tokens)).all()):
            return None
        arrays = (token_m, place_t, np.flatnonzero(~real_m))
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))


def _side_by_side(segments: Sequence[Segment]) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """(flat index, whether it is no padding) of the places [n * s] of a group."""
    starts_n1 = np.array([[segment.start] for segment in segments])
    lengths_n1 = np.array([[segment.length] for segment in segments])
    places_s = np.arange(lengths_n1.max())
    real_ns = places_s < lengths_n1
    return np.where(real_ns, starts_n1 + places_s, starts_n1).ravel(), real_ns.ravel()


@dataclass
class FlatAttention:
    """What the attention function needs to know of a micro-batch: it is passed to the model's forward as `flat`.

    Attributes:
        groups: what is computed side by side.
        places: where their tokens stand; None = in the order of the flat sequence.
        tokens: how many there are.
        visibility: for the route of GPUs, which needs no groups unless there is dropout; None elsewhere.
        calls: how often the function was reached.
        causal: whether no call was bidirectional.
    """

    groups: list[Group]
    places: Places | None
    tokens: int
    visibility: flex.Visibility | None = None
    calls: int = 0
    causal: bool = True

    @classmethod
    def of(cls, layout: Layout, device: torch.device) -> FlatAttention:
        """Groups the segments of a layout."""
        by_nodes: dict[tuple[tuple[int, int], ...], list[Segment]] = defaultdict(list)
        for segment in layout.segments:
            by_nodes[segment.above].append(segment)
        grouped = [
            [segments[index] for index in sorted(chosen)]
            for segments in by_nodes.values()
            for chosen in cheapest_batches([segment.length for segment in segments])
        ]
        sizes = [len(segments) * max(segment.length for segment in segments) for segments in grouped]
        groups = [
            _group(segments, begin, device)
            for segments, begin in zip(grouped, accumulate(sizes, initial=0), strict=False)
        ]
        tokens = len(layout.tokens_t)
        visibility = flex.Visibility.of(layout, device) if flex.available(device) else None
        return cls(groups, Places.of(grouped, tokens, device), tokens, visibility)

    def by_place(self, flat_thd: torch.Tensor) -> torch.Tensor:
        """Something by token, by place [m, h, d]."""
        return flat_thd if self.places is None else flat_thd.index_select(0, self.places.token_m)

    def by_token(self, values_mhd: torch.Tensor) -> torch.Tensor:
        """Something by place, by token [t, h, d]; padding is left out."""
        return values_mhd if self.places is None else values_mhd.index_select(0, self.places.place_t)


def _group(segments: Sequence[Segment], begin: int, device: torch.device) -> Group:
    n, s, p = len(segments), max(segment.length for segment in segments), segments[0].depth
    _, real_m = _side_by_side(segments)
    above = torch.from_numpy(segments[0].keys[:p]).to(device)
    return Group(begin, above, None if real_m.all() else torch.from_numpy(real_m).view(n, s).to(device), (n, s, p))


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
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if flat.visibility is not None and not dropout:
        mask = flat.visibility.mask(causal=causal, window=sliding_window)
        return flex.attend(query, key, value, mask, scale, softcap).transpose(1, 2), None
    how = _How(scale, causal, sliding_window, softcap, dropout)
    q_thd, k_tgd, v_tgd = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    if query.device.type == "cpu" and not softcap and not dropout and k_tgd.shape[-1] == v_tgd.shape[-1]:
        out_thd: torch.Tensor = _Fused.apply(q_thd, k_tgd, v_tgd, flat, how)  # type: ignore[no-untyped-call]
    else:
        out_thd = _plain(q_thd, k_tgd, v_tgd, flat, how)
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

    `triangle` says that they need no mask but the kernel's own causal one, which begins at the first key; otherwise
    `mask` is added to the scores.
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
    for begin in range(0, s, BLOCK):
        end = min(begin + BLOCK, s)
        if triangles and not windowed and p + begin == 0:
            yield _Block(0, end, 0, end, True, None)
            continue
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
    hidden = ~group.real_ns[:, None, None, :] if group.real_ns is not None else None
    if how.window is not None and how.window < s:
        far = (places[:, None] - places).abs() >= how.window
        hidden = far if hidden is None else hidden | far
    return None if hidden is None else _additive(hidden, like)


def _additive(hidden: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    # A finite number: a padded query may see nothing at all, and its output is thrown away.
    return torch.zeros(hidden.shape, dtype=like.dtype, device=like.device).masked_fill_(
        hidden, max(-1e30, torch.finfo(like.dtype).min)
    )


class _Fused(torch.autograd.Function):
    """The fused kernel of torch for the CPU, group by group; the backward pass gathers its inputs again."""

    @staticmethod
    def forward(
        ctx: Any, q_thd: torch.Tensor, k_tgd: torch.Tensor, v_tgd: torch.Tensor, flat: FlatAttention, how: _How
    ) -> torch.Tensor:
        q_mhd, k_mgd, v_mgd = map(flat.by_place, (q_thd, k_tgd, v_tgd))
        out_mhd = q_mhd.new_empty(q_mhd.shape)
        sums = []
        for group in flat.groups:
            q, k, v, target = group.of(q_mhd), group.keys(k_tgd, k_mgd), group.keys(v_tgd, v_mgd), group.of(out_mhd)
            for block in _blocks(group, how, q):
                own, seen = slice(block.begin, block.end), slice(block.first, block.last)
                target[:, :, own], log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                    q[:, :, own],
                    k[:, :, seen],
                    v[:, :, seen],
                    0.0,
                    block.triangle,
                    attn_mask=block.mask,
                    scale=how.scale,
                )
                sums.append(log_sum)
        out_thd = flat.by_token(out_mhd)
        ctx.save_for_backward(q_thd, k_tgd, v_tgd, out_thd, *sums)
        ctx.flat, ctx.how = flat, how
        return out_thd

    @staticmethod
    def backward(ctx: Any, grad_thd: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q_thd, k_tgd, v_tgd, out_thd, *sums = ctx.saved_tensors
        flat: FlatAttention = ctx.flat
        q_mhd, k_mgd, v_mgd, out_mhd, grad_mhd = map(flat.by_place, (q_thd, k_tgd, v_tgd, out_thd, grad_thd))
        if flat.places is not None:  # padding repeats a token whose gradient must count once
            grad_mhd.index_fill_(0, flat.places.padding, 0.0)
        dq_mhd, dk_mgd, dv_mgd = torch.empty_like(q_mhd), torch.zeros_like(k_mgd), torch.zeros_like(v_mgd)
        log_sums = iter(sums)
        above: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        for group in flat.groups:
            q, k, v = group.of(q_mhd), group.keys(k_tgd, k_mgd), group.keys(v_tgd, v_mgd)
            out, grad = group.of(out_mhd), group.of(grad_mhd)
            p = group.size[2]
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
                group.of(dq_mhd)[:, :, own] = dq
                first, shared = max(block.first - p, 0), max(p - block.first, 0)
                group.of(dk_mgd)[:, :, first : block.last - p] += dk[:, :, shared:]
                group.of(dv_mgd)[:, :, first : block.last - p] += dv[:, :, shared:]
                if shared:
                    above.append((group.above[block.first :], _of_all(dk, shared), _of_all(dv, shared)))
        dk_tgd, dv_tgd = flat.by_token(dk_mgd), flat.by_token(dv_mgd)
        for places, dk_pgd, dv_pgd in above:
            _add_at(dk_tgd, places, dk_pgd)
            _add_at(dv_tgd, places, dv_pgd)
        return flat.by_token(dq_mhd), dk_tgd, dv_tgd, None, None


def _of_all(values_nhkd: torch.Tensor, shared: int) -> torch.Tensor:
    """Gradients of the keys above [p, h, d], which every segment of a group reads: summed."""
    return values_nhkd[:, :, :shared].sum(0).transpose(0, 1)


def _add_at(target_tgd: torch.Tensor, places: torch.Tensor, values: torch.Tensor) -> None:
    # index_add_ goes through one row after the other
    target_tgd.index_copy_(0, places, target_tgd.index_select(0, places) + values)


def _plain(
    q_thd: torch.Tensor, k_tgd: torch.Tensor, v_tgd: torch.Tensor, flat: FlatAttention, how: _How
) -> torch.Tensor:
    """The same from plain matrix products, for soft-capping, dropout and other devices."""
    q_mhd, k_mgd, v_mgd = map(flat.by_place, (q_thd, k_tgd, v_tgd))
    repeats = q_thd.shape[1] // k_tgd.shape[1]
    parts = []
    for group in flat.groups:
        q, k, v = group.of(q_mhd), group.keys(k_tgd, k_mgd), group.keys(v_tgd, v_mgd)
        k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
        blocks = []
        for block in _blocks(group, how, q, triangles=False):
            scores = q[:, :, block.begin : block.end] @ k[:, :, block.first : block.last].transpose(2, 3) * how.scale
            if how.softcap:
                scores = torch.tanh(scores / how.softcap) * how.softcap
            if block.mask is not None:
                scores = scores + block.mask
            weights = torch.dropout(softmax(scores, -1, dtype=torch.float32).to(q.dtype), how.dropout, True)
            blocks.append(weights @ v[:, :, block.first : block.last])
        parts.append(torch.cat(blocks, 2).transpose(1, 2).flatten(0, 1))
    return flat.by_token(torch.cat(parts))
