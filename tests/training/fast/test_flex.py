"""The route for GPUs: what is visible, through the library's own form of the kernel where there is no GPU."""

from types import SimpleNamespace

import pytest
import torch

from luthier.training.fast import flex
from luthier.training.fast.attention import FlatAttention, flat_attention
from luthier.training.fast.layout import lay_out

BEGINNING = list(range(20))
ROWS = [
    [*BEGINNING, 30, 31, 32],
    [*BEGINNING, 30, 31, 32, *range(40, 52), 1],
    [*BEGINNING, 30, 31, 32, *range(40, 52), 2, 3],
    [*BEGINNING, 33],
    [7, 8, 9],
]
CPU = torch.device("cpu")


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize(("share", "causal"), [(True, True), (False, True), (False, False)])
@pytest.mark.parametrize("window", [None, 6])
@pytest.mark.parametrize("softcap", [None, 3.0])
def test_it_sees_what_the_groups_see(share, causal, window, softcap):
    layout = lay_out(ROWS, share=share)
    groups = FlatAttention.of(layout, CPU)
    whole = FlatAttention([], groups.tokens, visibility=flex.Visibility.of(layout, CPU))
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(1, 4, groups.tokens, 8, generator=generator)
    key, value = torch.randn(2, 1, 2, groups.tokens, 8, generator=generator)
    module = SimpleNamespace(is_causal=causal)
    expected, found = (
        flat_attention(module, query, key, value, None, flat=flat, sliding_window=window, softcap=softcap)[0]
        for flat in (groups, whole)
    )
    assert (found - expected).abs().max() < 1e-5
    assert len(whole.visibility.masks) == 1, "made once for all layers of a kind"


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("window", [None, 6])
def test_tokens_without_queries_are_seen_too(window):
    layout, front = lay_out(ROWS, share=True, front=4), 4
    groups = FlatAttention.of(layout, CPU, front)
    whole = FlatAttention([], groups.tokens, front, visibility=flex.Visibility.of(layout, CPU))
    query = torch.randn(1, 4, groups.tokens - front, 8)
    key, value = torch.randn(2, 1, 2, groups.tokens, 8)
    expected, found = (
        flat_attention(SimpleNamespace(is_causal=True), query, key, value, None, flat=flat, sliding_window=window)[0]
        for flat in (groups, whole)
    )
    assert found.shape == (1, groups.tokens - front, 4, 8)
    assert (found - expected).abs().max() < 1e-5


def test_without_a_gpu_the_groups_are_used():
    assert not flex.available(CPU)
    assert FlatAttention.of(lay_out(ROWS, share=True), CPU).visibility is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_gradients_on_a_gpu():
    device = torch.device("cuda")
    layout = lay_out(ROWS, share=True)
    whole = FlatAttention.of(layout, device)
    assert whole.visibility is not None
    groups = FlatAttention(whole.groups, whole.tokens)
    tensors = [torch.randn(1, heads, whole.tokens, 16, device=device, requires_grad=True) for heads in (4, 2, 2)]
    results = []
    for flat in (groups, whole):
        out, _ = flat_attention(SimpleNamespace(is_causal=True), *tensors, None, flat=flat)
        results.append(torch.autograd.grad(out.square().sum(), tensors))
    for expected, found in zip(*results, strict=True):
        assert (found - expected).norm() < 1e-3 * expected.norm()
