"""What training holds in memory besides frozen weights: the formulas of `training.memory: auto` and of the forecast.

For n tokens computed at once, s bytes a value, L layers of hidden size h, whose linear layers give o values a token in
all (for a Llama with inner size i, a values of queries and k of keys: o = L (2 h + 2 i + a + 2 k)):

- trained weights: 8 bytes each, itself and its gradient in float32, and what the optimiser says that its state has:
  8 more for AdamW.
- activations, what is kept for the backward pass. The outputs of linear layers are o values a token; about as many are
  made of them on the way to the next layer (norms, rotations, products with the activation). `fast` and the reference
  engine keep both, 2 o s n; `balanced` makes most of the second half again, 1.4 o s n; `low` keeps the input of every
  layer and the whole of one, (L h + 2 o / L) s n. Where s is not that of float32, the reference engine keeps the input
  of every trained layer in float32 besides. No attention keeps a matrix of tokens by tokens.
- pieces: memory that was freed in pieces too small for what comes next; a share of the activations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier import registry
from luthier.models.architectures import linear_layers, widths

if TYPE_CHECKING:
    from torch import nn

    from luthier.models.base import BaseModel
    from luthier.registry import Options

ROOM = 0.7
"""Share of a device's memory that a run may fill: the rest is for what an estimate does not know."""

WEIGHT_BYTES = 8
"""A trained weight and its gradient, in float32."""

KEPT = {"fast": 2.0, "balanced": 1.4}
"""Values kept for the backward pass, per output of a linear layer."""

PIECES = {"reference": 0.8, "fast": 0.4}
"""Share of the activations that the allocator holds besides, on a CPU: measured by engine, with glibc's allocator."""

PIECES_GPU = 0.1
"""The same on a GPU: an assumption."""


@dataclass(frozen=True)
class Layers:
    """The layers of a network, as their memory goes.

    Attributes:
        count: repeated layers; of an encoder-decoder, those of both.
        hidden: width between layers.
        outputs: values that the linear layers of a token give, in all layers.
        trained_inputs: values that trained linear layers take for a token, in all layers.
        value_bytes: bytes of a value.
    """

    count: int
    hidden: int
    outputs: int
    trained_inputs: int
    value_bytes: int

    @classmethod
    def of(cls, base: BaseModel, network: nn.Module) -> Layers:
        """Those of a base and the network that a method made of it."""
        inner: Any = base.network
        table = inner.get_input_embeddings().weight
        linear = linear_layers(network, base.architecture)
        return cls(
            count=sum(len(inner.get_submodule(name)) for name in base.architecture.layers),
            hidden=table.shape[1],
            outputs=base.architecture.outputs,
            trained_inputs=sum(widths(module)[0] for module in linear if module.weight.requires_grad),
            value_bytes=table.element_size(),
        )

    def kept_bytes(self, level: str, *, fast: bool) -> float:
        """What a token keeps for the backward pass.

        Args:
            level: low, balanced or fast, as in `training.memory`.
            fast: the fast engine, or the reference engine.
        """
        s = self.value_bytes
        if level == "low":
            return (self.count * self.hidden + 2 * self.outputs / self.count) * s
        if fast:
            return KEPT[level] * self.outputs * s
        return KEPT["fast"] * self.outputs * s + (4 * self.trained_inputs if s < 4 else 0)


def pieces(kind: str, *, fast: bool) -> float:
    """Share of the activations that the allocator holds besides.

    Args:
        kind: cpu, cuda or mps.
        fast: the fast engine, or the reference engine.
    """
    return PIECES["fast" if fast else "reference"] if kind == "cpu" else PIECES_GPU


def trained_bytes(optimizer: Options) -> float:
    """Bytes of a trained weight with its gradient and its share of the optimiser's state.

    Args:
        optimizer: the options in `training.optimizer`.
    """
    plugin = registry.load("optimizer", optimizer.name)(optimizer)
    return float(WEIGHT_BYTES + plugin.state_bytes)
