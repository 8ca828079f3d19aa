"""The route for GPUs: `flex_attention` of torch, whose kernel skips the blocks that nobody may see.

Tokens stand depth first, so what a token sees is a rule of two numbers: j is visible to i, causally, if and only if
j <= i < end[j], where end[j] is the end of the subtree that j's node is the root of.

Shapes: t = flat tokens, h = query heads, g = key heads, d = head width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from luthier.training.fast.layout import Layout


@dataclass
class Visibility:
    """What each token of a micro-batch sees, as block masks made once for all layers of a kind.

    Attributes:
        end_t: end of the subtree of each token's node.
        position_t: each token's position in its row.
    """

    end_t: torch.Tensor
    position_t: torch.Tensor
    masks: dict[tuple[bool, int | None], BlockMask] = field(default_factory=dict)

    @classmethod
    def of(cls, layout: Layout, device: torch.device) -> Visibility:
        """From a layout."""
        return cls(torch.from_numpy(layout.end_t).to(device), torch.from_numpy(layout.positions_t).to(device))

    def mask(self, *, causal: bool, window: int | None) -> BlockMask:
        """The block mask of a kind of layer. Bidirectional layers know no shared beginnings: a row is one segment."""
        if (causal, window) not in self.masks:
            end_t, position_t = self.end_t, self.position_t

            def visible(b: Any, h: Any, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
                together = (j <= i) & (i < end_t[j]) if causal else end_t[i] == end_t[j]
                if window is None:
                    return together
                return together & ((position_t[i] - position_t[j]).abs() < window)

            size = len(end_t)
            self.masks[causal, window] = create_block_mask(visible, None, None, size, size, device=str(end_t.device))
        return self.masks[causal, window]


def attend(
    query_1htd: torch.Tensor,
    key_1gtd: torch.Tensor,
    value_1gtd: torch.Tensor,
    mask: BlockMask,
    scale: float,
    softcap: float | None,
) -> torch.Tensor:
    """Attention of all rows in one call: [1, h, t, d]."""

    def capped(score: torch.Tensor, b: Any, h: Any, i: Any, j: Any) -> torch.Tensor:
        return torch.tanh(score / softcap) * softcap if softcap else score

    out: torch.Tensor = _kernel(query_1htd.device.type)(
        query_1htd,
        key_1gtd,
        value_1gtd,
        capped if softcap else None,
        mask,
        scale,
        query_1htd.shape[1] != key_1gtd.shape[1],
    )
    return out


@cache
def _kernel(device: str) -> Callable[..., Any]:
    """Compiled where there is a GPU; elsewhere the library's own slow form, which the tests compare with."""
    kernel: Any = flex_attention
    return cast(Callable[..., Any], torch.compile(kernel, dynamic=True) if device == "cuda" else kernel)


def available(device: torch.device) -> bool:
    """Whether this route is the one to take: a GPU, and the compiler that its kernel needs."""
    from torch.utils._triton import has_triton

    return device.type == "cuda" and bool(has_triton())
