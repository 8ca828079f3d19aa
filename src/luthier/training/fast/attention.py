"""Attention over flat rows, reached from the models of `transformers` through their `AttentionInterface`.

Segments of the same depth are put side by side by length, so that a few calls of the fused kernel cover a layer; keys
of shared beginnings are read by all segments below them. Only the flat queries, keys, values and outputs are kept for
the backward pass, and no mask of a whole row is ever built.

Shapes: t = flat tokens, h = query heads, g = key heads, d = head width, n = segments of a group, s = its longest one,
p = tokens above it, k = p + s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn.functional import pad, softmax
from torch.utils.checkpoint import checkpoint

from luthier.training.fast import flex
from luthier.training.fast.layout import Layout, Segment
from luthier.training.order import cheapest_batches

NAME = "luthier_flat"
"""What `config._attn_implementation` is while the fast engine runs."""

BLOCK = 128
"""Queries of a segment that are computed together, against the keys up to the last of them. torch's kernel reads all
keys of a segment of up to 512 tokens, however early the query: cut into blocks, SmolLM2's attention over 512 tokens
took 0.8 of the time, over 256 and over 1 024 tokens 0.91; blocks of 64 or 256 were no better."""

Index = torch.Tensor | slice


@dataclass(frozen=True)
class Group:
    """Segments below the same nodes and of similar length, side by side.

    Attributes:
        own: flat index of every token, [n * s]; padded places repeat the segment's first token. A slice where the
            segments stand side by side as they are.
        above: flat index of the tokens above, [p].
        real_ns: which places are no padding; None when all are.
        size: (n, s, p).
        shared: whether other groups read its keys too.

    What is the same in every layer is remembered: where its real tokens are, the blocks and masks of each kind of
    attention.
    """

    own: Index
    above: torch.Tensor
    real_ns: torch.Tensor | None
    size: tuple[int, int, int]
    shared: bool
    _real: dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor | None]] = field(default_factory=dict, repr=False)
    _blocks: dict[tuple[_How, torch.dtype, bool], list[_Block]] = field(default_factory=dict, repr=False)

    def blocks(self, how: _How, like: torch.Tensor, *, triangles: bool = True) -> list[_Block]:
        """The parts of its attention; without `triangles` every causal one has a mask."""
        key = how, like.dtype, triangles
        if key not in self._blocks:
            self._blocks[key] = list(_blocks(self, how, like, triangles=triangles))
        return self._blocks[key]

    def real(self, first: int, last: int, values_nhsd: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(flat index, value [h, d]) of the tokens `first` to `last` of the segments, padding left out."""
        assert isinstance(self.own, torch.Tensor)
        if (first, last) not in self._real:
            n, s, _ = self.size
            own = self.own.view(n, s)[:, first:last].flatten()
            places = None if self.real_ns is None else self.real_ns[:, first:last].flatten().nonzero().squeeze(1)
            self._real[first, last] = own if places is None else own[places], places
        own, places = self._real[first, last]
        values = values_nhsd.transpose(1, 2).flatten(0, 1)
        return own, values if places is None else values.index_select(0, places)


@dataclass
class FlatAttention:
    """What the attention function needs to know of a micro-batch: it is passed to the model's forward as `flat`.

    Attributes:
        groups: what is computed side by side.
        tokens: how many there are.
        unasked: how many of them, at the front, have keys and values but no queries.
        visibility: for the route of GPUs, which needs no groups unless there is dropout; None elsewhere.
        calls: how often the function was reached.
        causal: whether no call was bidirectional.
    """

    groups: list[Group]
    tokens: int
    unasked: int = 0
    visibility: flex.Visibility | None = None
    calls: int = 0
    causal: bool = True

    @classmethod
    def of(cls, layout: Layout, device: torch.device, unasked: int = 0) -> FlatAttention:
        """Groups the segments of a layout."""
        by_nodes: dict[tuple[tuple[int, int], ...], list[Segment]] = defaultdict(list)
        for segment in layout.segments:
            by_nodes[segment.above].append(segment)
        read = {node for nodes in by_nodes for node in nodes}
        groups = [
            _group([segments[index] for index in sorted(chosen)], read, device)
            for segments in by_nodes.values()
            for chosen in cheapest_batches([segment.length for segment in segments])
        ]
        visibility = flex.Visibility.of(layout, device) if flex.available(device) else None
        return cls(groups, len(layout.tokens_t), unasked, visibility)


def _group(segments: list[Segment], read: Container[tuple[int, int]], device: torch.device) -> Group:
    """Segments side by side; `read` are (start, length) of those whose keys others read."""
    n, s, p = len(segments), max(segment.length for segment in segments), segments[0].depth
    starts_n1 = np.array([[segment.start] for segment in segments])
    lengths_n1 = np.array([[segment.length] for segment in segments])
    places_s = np.arange(s)
    own = torch.from_numpy(np.where(places_s < lengths_n1, starts_n1 + places_s, starts_n1).ravel()).to(device)
    first = segments[0].start
    whole = bool((lengths_n1 == s).all())
    apart = not whole or bool((starts_n1.ravel() != first + s * np.arange(n)).any())
    return Group(
        own if apart else slice(first, first + n * s),
        torch.from_numpy(segments[0].keys[:p]).to(device),
        None if whole else torch.from_numpy(places_s < lengths_n1).to(device),
        (n, s, p),
        any((segment.start, segment.length) in read for segment in segments),
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

    Tokens without queries are given zeros for them here, and their outputs are cut off.

    Raises:
        NotImplementedError: the model's attention does more than this function knows.
    """
    asked = flat.tokens - flat.unasked
    if s_aux is not None or query.shape[0] != 1 or query.shape[2] != asked or key.shape[2] != flat.tokens:
        raise NotImplementedError("its attention has parts that flat rows do not cover")
    causal = is_causal if is_causal is not None else getattr(module, "is_causal", True)
    flat.calls += 1
    flat.causal &= causal
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if flat.unasked:
        query = pad(query, (0, 0, flat.unasked, 0))
    if flat.visibility is not None and not dropout:
        mask = flat.visibility.mask(causal=causal, window=sliding_window)
        return flex.attend(query, key, value, mask, scale, softcap).transpose(1, 2)[:, flat.unasked :], None
    how = _How(scale, causal, sliding_window, softcap, dropout)
    q_thd, k_tgd, v_tgd = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    if query.device.type == "cpu" and not softcap and not dropout and k_tgd.shape[-1] == v_tgd.shape[-1]:
        out_thd: torch.Tensor = _Fused.apply(q_thd, k_tgd, v_tgd, flat.groups, how)  # type: ignore[no-untyped-call]
    else:
        out_thd = _plain(q_thd, k_tgd, v_tgd, flat.groups, how)
    return out_thd[None, flat.unasked :], None


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


def _blocks(group: Group, how: _How, like: torch.Tensor, *, triangles: bool) -> Iterator[_Block]:
    _, s, p = group.size
    if not how.causal:
        yield _Block(0, s, 0, s, False, _mask_of_lengths(group, how, like))
        return
    window = how.window if how.window is not None and how.window < p + s else None
    band = None
    for begin in range(0, s, BLOCK):
        end = min(begin + BLOCK, s)
        if triangles and window is None and p + begin == 0:
            yield _Block(0, end, 0, end, True, None)
            continue
        band = _band(min(s, BLOCK), p + s, window, like) if band is None else band
        first = max(0, p + begin + 1 - window) if window is not None else 0
        left = p + s - (p + begin - first)
        yield _Block(begin, end, first, p + end, False, band[: end - begin, left : left + p + end - first])


def _band(queries: int, reach: int, window: int | None, like: torch.Tensor) -> torch.Tensor:
    """A causal mask [queries, reach + queries] whose diagonal begins at column `reach`: that of a block is a piece of
    it, so masks grow with the length of a row, not with its square."""
    places = torch.arange(queries, device=like.device)[:, None] + reach
    distance = places - torch.arange(reach + queries, device=like.device)
    hidden = distance < 0
    if window is not None:
        hidden |= distance >= window
    return _additive(hidden, like)


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


def _side_by_side(flat_thd: torch.Tensor, group: Group) -> torch.Tensor:
    """A group's own rows of a flat tensor, as [n, h, s, d]."""
    n, s, _ = group.size
    rows = flat_thd[group.own] if isinstance(group.own, slice) else flat_thd.index_select(0, group.own)
    return rows.view(n, s, *flat_thd.shape[1:]).transpose(1, 2)


def _with_above(flat_thd: torch.Tensor, group: Group) -> torch.Tensor:
    """The same behind the rows of the tokens above, as [n, h, k, d]."""
    own = _side_by_side(flat_thd, group)
    n, _, p = group.size
    if not p:
        return own
    above_1hpd = flat_thd.index_select(0, group.above).transpose(0, 1)[None]
    return torch.cat([above_1hpd.expand(n, -1, -1, -1), own], 2)


class _Fused(torch.autograd.Function):
    """The fused kernel of torch for the CPU, group by group; the backward pass gathers its inputs again."""

    @staticmethod
    def forward(
        ctx: Any, q_thd: torch.Tensor, k_tgd: torch.Tensor, v_tgd: torch.Tensor, groups: list[Group], how: _How
    ) -> torch.Tensor:
        out_thd = q_thd.new_empty(q_thd.shape)
        sums = []
        for group in groups:
            q, k, v = _side_by_side(q_thd, group), _with_above(k_tgd, group), _with_above(v_tgd, group)
            for block in group.blocks(how, q):
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
        # a key has a gradient from every block that reads it: narrow types would round each sum
        wide = torch.promote_types(k_tgd.dtype, torch.float32)
        dk_tgd, dv_tgd = (torch.zeros_like(each, dtype=wide) for each in (k_tgd, v_tgd))
        dq_thd = torch.empty_like(q_thd)
        log_sums = iter(sums)
        for group in ctx.groups:
            q, k, v = _side_by_side(q_thd, group), _with_above(k_tgd, group), _with_above(v_tgd, group)
            out, grad = _side_by_side(out_thd, group), _side_by_side(grad_thd, group)
            if group.real_ns is not None:  # padded places repeat a token whose gradient must count once
                grad = grad * group.real_ns[:, None, :, None]
            for block in group.blocks(ctx.how, q):
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
                _add_keys(dk_tgd, dk, group, block)
                _add_keys(dv_tgd, dv, group, block)
        return dq_thd, dk_tgd.to(k_tgd.dtype), dv_tgd.to(v_tgd.dtype), None, None


def _put(target_thd: torch.Tensor, values_nhsd: torch.Tensor, group: Group, block: _Block) -> None:
    """Writes the outputs, or the gradients, of a block's queries to their flat places."""
    if isinstance(group.own, slice):
        _side_by_side(target_thd, group)[:, :, block.begin : block.end] = values_nhsd
    else:
        target_thd.index_copy_(0, *group.real(block.begin, block.end, values_nhsd))


def _add_keys(target_tgd: torch.Tensor, values_nhkd: torch.Tensor, group: Group, block: _Block) -> None:
    """Adds the gradients of a block's keys; those above are read by every segment, so theirs are summed first."""
    _, s, p = group.size
    values_nhkd = values_nhkd.to(target_tgd.dtype)
    above = max(p - block.first, 0)
    if above:
        _add_at(target_tgd, group.above[block.first :], values_nhkd[:, :, :above].sum(0).transpose(0, 1))
    first, last, own_nhsd = max(block.first - p, 0), block.last - p, values_nhkd[:, :, above:]
    if not group.shared and (first, last) == (0, s) and block.begin == 0:  # nothing else is added there
        _put(target_tgd, own_nhsd, group, block)
    elif isinstance(group.own, slice):
        _side_by_side(target_tgd, group)[:, :, first:last] += own_nhsd
    else:
        _add_at(target_tgd, *group.real(first, last, own_nhsd))


def _add_at(target_tgd: torch.Tensor, places: torch.Tensor, values: torch.Tensor) -> None:
    # index_add_ goes through one row after the other
    target_tgd.index_copy_(0, places, target_tgd.index_select(0, places) + values)


def _plain(
    q_thd: torch.Tensor, k_tgd: torch.Tensor, v_tgd: torch.Tensor, groups: list[Group], how: _How
) -> torch.Tensor:
    """The same from plain matrix products, for soft-capping, dropout and other devices."""
    out_thd = q_thd.new_empty(*q_thd.shape[:2], v_tgd.shape[-1])
    repeats = q_thd.shape[1] // k_tgd.shape[1]
    for group in groups:
        q, k, v = _side_by_side(q_thd, group), _with_above(k_tgd, group), _with_above(v_tgd, group)
        k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
        for block in group.blocks(how, q, triangles=False):
            seen = slice(block.first, block.last)
            out: Any = checkpoint(
                _attend,
                *(q[:, :, block.begin : block.end], k[:, :, seen], v[:, :, seen], block.mask, how),
                use_reentrant=False,
                preserve_rng_state=how.dropout > 0,
            )
            _put(out_thd, out, group, block)
    return out_thd


def _attend(
    q_nhsd: torch.Tensor, k_nhkd: torch.Tensor, v_nhkd: torch.Tensor, mask: torch.Tensor | None, how: _How
) -> torch.Tensor:
    """One block; computed again in the backward pass, so that no scores are kept."""
    scores = q_nhsd @ k_nhkd.transpose(2, 3) * how.scale
    if how.softcap:
        scores = torch.tanh(scores / how.softcap) * how.softcap
    if mask is not None:
        scores = scores + mask
    return torch.dropout(softmax(scores, -1, dtype=torch.float32).to(q_nhsd.dtype), how.dropout, True) @ v_nhkd
