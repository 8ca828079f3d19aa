"""Attention over flat rows against one dense softmax in float64.

Shapes: t = flat tokens, h = query heads, g = key heads, d = head width.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from luthier.training.fast import attention
from luthier.training.fast.attention import FlatAttention, flat_attention
from luthier.training.fast.layout import Layout, lay_out

HEADS, GROUPS, WIDTH = 4, 2, 8
INSTRUCTION, EXAMPLE = list(range(100, 112)), list(range(200, 210))
ROWS = [
    [*INSTRUCTION, *EXAMPLE, 1, 2, 3],
    [*INSTRUCTION, *EXAMPLE, 4],
    [*INSTRUCTION, 5, 6, 7, 8, 9, 10, 11],
    INSTRUCTION,
    list(range(23)),
    [50],
]


def tensors(count: int) -> list[torch.Tensor]:
    """Queries [1, h, t, d], keys and values [1, g, t, d], and a gradient [1, t, h, d] of the output, in float64."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, heads, count, WIDTH) for heads in (HEADS, GROUPS, GROUPS)] + [(1, count, HEADS, WIDTH)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def visible(layout: Layout, *, causal: bool, window: int | None) -> torch.Tensor:
    """[t, t]: whether a token sees another."""
    seen = torch.zeros(len(layout.tokens_t), len(layout.tokens_t), dtype=torch.bool)
    for places in layout.rows:
        distance = torch.arange(len(places))[:, None] - torch.arange(len(places))
        own = distance >= 0 if causal else torch.ones_like(distance, dtype=torch.bool)
        if window is not None:
            own &= distance.abs() < window
        index = torch.from_numpy(places)
        seen[index[:, None], index] |= own
    return seen


def dense(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, seen: torch.Tensor, softcap: float | None) -> torch.Tensor:
    k, v = (x.repeat_interleave(HEADS // GROUPS, 1) for x in (k, v))
    scores = q @ k.transpose(2, 3) * 0.3
    if softcap:
        scores = torch.tanh(scores / softcap) * softcap
    return (scores.masked_fill(~seen, float("-inf")).softmax(-1) @ v).transpose(1, 2)


def with_gradients(made: list[torch.Tensor], function: Any, dtype: torch.dtype) -> list[torch.Tensor]:
    """Output and the gradients of queries, keys and values."""
    leaves = [value.to(dtype).requires_grad_() for value in made[:3]]
    out = function(*leaves)
    out.backward(made[3].to(dtype))
    return [value.double() for value in (out.detach(), *(leaf.grad for leaf in leaves))]


def check(rows: list[list[int]], *, share: bool, causal: bool, window: int | None, softcap: float | None) -> None:
    layout = lay_out(rows, share=share)
    flat = FlatAttention.of(layout, torch.device("cpu"))
    made = tensors(len(layout.tokens_t))
    seen = visible(layout, causal=causal, window=window)
    options: dict[str, Any] = {"flat": flat, "scaling": 0.3, "sliding_window": window, "softcap": softcap}
    found = with_gradients(
        made,
        lambda q, k, v: flat_attention(nn.Module(), q, k, v, None, is_causal=causal, **options)[0],
        torch.float32,
    )
    expected = with_gradients(made, lambda q, k, v: dense(q, k, v, seen, softcap), torch.float64)
    assert (flat.calls, flat.causal) == (1, causal)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=5e-6, rtol=1e-5)


@pytest.mark.parametrize("block", [512, 5])
@pytest.mark.parametrize("softcap", [None, 1.5], ids=["", "softcap"])
@pytest.mark.parametrize("window", [None, 1, 6, 100])
@pytest.mark.parametrize("kind", ["shared", "apart", "both ways"])
def test_it_is_one_dense_softmax(
    kind: str, window: int | None, softcap: float | None, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "BLOCK", block)
    check(ROWS, share=kind == "shared", causal=kind != "both ways", window=window, softcap=softcap)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(1, 30)), min_size=1, max_size=6),
    st.sampled_from([None, 3, 17]),
    st.sampled_from(["shared", "apart", "both ways"]),
)
@settings(max_examples=30, deadline=None)
def test_rows_of_any_length(pieces: list[tuple[int, int, int]], window: int | None, kind: str) -> None:
    """Each row begins with so many tokens of one of three texts."""
    rows = [[*(1000 * text + place for place in range(common)), *range(own)] for text, common, own in pieces]
    check(rows, share=kind == "shared", causal=kind != "both ways", window=window, softcap=None)


def test_a_row_of_twins_in_bfloat16_is_as_exact_as_the_kernel() -> None:
    layout = lay_out(ROWS, share=True)
    flat = FlatAttention.of(layout, torch.device("cpu"))
    made = tensors(len(layout.tokens_t))
    rounded = [value.bfloat16().double() for value in made]
    seen = visible(layout, causal=True, window=None)

    def error(function: Any) -> float:
        found = with_gradients(made, function, torch.bfloat16)
        expected = with_gradients(rounded, lambda q, k, v: dense(q, k, v, seen, None), torch.float64)
        return max(float((a - b).norm() / b.norm()) for a, b in zip(found, expected, strict=True))

    ours = error(lambda q, k, v: flat_attention(nn.Module(), q, k, v, None, flat=flat, scaling=0.3)[0])
    usual = error(
        lambda q, k, v: nn.functional.scaled_dot_product_attention(q, k, v, seen, scale=0.3, enable_gqa=True).transpose(
            1, 2
        )
    )
    assert 0 < ours <= 1.2 * usual


def test_keys_and_values_of_different_width() -> None:
    layout = lay_out(ROWS, share=True)
    q, k, v, _ = tensors(len(layout.tokens_t))
    v = torch.cat([v, v[..., :3]], -1)
    out, _ = flat_attention(nn.Module(), q, k, v, None, flat=FlatAttention.of(layout, torch.device("cpu")), scaling=0.3)
    torch.testing.assert_close(out, dense(q, k, v, visible(layout, causal=True, window=None), None))


def test_dropout_drops_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layout = lay_out(ROWS, share=False)
    flat = FlatAttention.of(layout, torch.device("cpu"))
    q, k, v, _ = tensors(len(layout.tokens_t))
    outs = torch.stack(
        [flat_attention(nn.Module(), q, k, v, None, flat=flat, scaling=0.3, dropout=0.2)[0] for _ in range(400)]
    )
    whole = flat_attention(nn.Module(), q, k, v, None, flat=flat, scaling=0.3)[0]
    assert not torch.equal(outs[0], outs[1])
    assert float((outs.mean(0) - whole).abs().mean()) < 0.1 * float((outs[0] - whole).abs().mean())


def test_without_a_scaling_it_is_the_usual_one_and_modules_say_which_way() -> None:
    layout = lay_out(ROWS, share=False)
    flat = FlatAttention.of(layout, torch.device("cpu"))
    q, k, v, _ = tensors(len(layout.tokens_t))
    module = nn.Module()
    module.is_causal = False
    out, _ = flat_attention(module, q, k, v, None, flat=flat)
    given_both = flat_attention(nn.Module(), q, k, v, None, flat=flat, is_causal=False, scaling=WIDTH**-0.5)[0]
    assert torch.equal(out, given_both)
    assert not flat.causal


@pytest.mark.parametrize("what", ["sinks", "another length", "several sequences"])
def test_what_it_does_not_know_is_refused(what: str) -> None:
    layout = lay_out(ROWS, share=False)
    flat = FlatAttention.of(layout, torch.device("cpu"))
    q, k, v, _ = tensors(len(layout.tokens_t) + (what == "another length"))
    if what == "several sequences":
        q, k, v = (x.expand(2, -1, -1, -1) for x in (q, k, v))
    sinks = torch.zeros(HEADS) if what == "sinks" else None
    with pytest.raises(NotImplementedError, match="flat rows do not cover"):
        flat_attention(nn.Module(), q, k, v, None, flat=flat, s_aux=sinks)


def test_soft_capped_scores_are_not_kept() -> None:
    layout = lay_out([list(range(200)), list(range(300, 560))], share=False)
    flat = FlatAttention.of(layout, torch.device("cpu"))
    q, k, v, _ = (tensor.requires_grad_() for tensor in tensors(flat.tokens))
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        out, _ = flat_attention(nn.Identity(), q, k, v, None, flat=flat, softcap=1.5)
    out.sum().backward()
    assert q.grad is not None
    assert kept
    assert max(kept) <= attention.BLOCK * 260, "a mask; the scores of as many queries are four times that"
