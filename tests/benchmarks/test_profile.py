"""What steps are spent on: operations by kind, and the work that torch counts of them."""

import pytest
import torch
from common import Profile, kind_of
from torch.nn.functional import scaled_dot_product_attention, silu


def test_the_counted_steps_are_told_apart_by_kind() -> None:
    weight, hidden, heads = torch.randn(128, 64), torch.randn(32, 64), torch.randn(1, 2, 16, 8)
    profile = Profile(steps=2)
    for step in (1, 2):
        silu(hidden @ weight.T)
        scaled_dot_product_attention(heads, heads, heads)
        profile.after(step)
    assert profile.kinds["products"]["gflop"] == pytest.approx(2 * 32 * 64 * 128 / 1e9)  # of the second step alone
    assert all(kind["seconds"] > 0 for kind in profile.kinds.values())


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("aten::addmm", "products"),
        ("mkldnn::_linear_pointwise", "products"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu_backward", "attention"),
        ("aten::mul_", "others"),
        ("Optimizer.step#AdamW.step", None),
    ],
)
def test_events_have_a_kind(event: str, kind: str | None) -> None:
    assert kind_of(event) == kind
