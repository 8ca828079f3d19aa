"""Where attention and MLP of every layer begin and end, found in the network itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from luthier.errors import ModelError
from luthier.models.architectures import ends, resolve_targets

if TYPE_CHECKING:
    from luthier.models.base import BaseModel


@dataclass(frozen=True)
class Sublayers:
    """Paths of linear modules, in the network's order.

    Attributes:
        attention: all of attention.
        attention_outputs: the last of every attention, cross-attention too.
        mlp_outputs: the last of every MLP; none where they are no linear modules.
    """

    attention: list[str]
    attention_outputs: list[str]
    mlp_outputs: list[str]

    @classmethod
    def of(cls, base: BaseModel, layers: Sequence[int] | None = None) -> Sublayers:
        """Finds them, in some layers or in all."""
        attention, mlp = _linear(base, "attention", layers), _linear(base, "mlp", layers)
        return cls(
            attention,
            _last(attention, base.architecture.attention, lambda path: _place(path, base)),
            _last(mlp, base.architecture.mlp, lambda path: _place(path, base)[:2]),
        )


def _linear(base: BaseModel, group: Literal["attention", "mlp"], layers: Sequence[int] | None) -> list[str]:
    try:
        names = resolve_targets(base.network, base.architecture, group)
    except ModelError:  # there are none
        return []
    found = [path for path, _ in base.network.named_modules() if any(ends(path, name) for name in names)]
    return [path for path in found if layers is None or _place(path, base)[1] in layers]


def _last(paths: Sequence[str], names: Sequence[str], place: Callable[[str], tuple[str | int, ...]]) -> list[str]:
    """Of the paths in one place, the one whose name stands last: values pass through modules in the order of names."""
    rank = {path: max((len(name), at) for at, name in enumerate(names) if ends(path, name))[1] for path in paths}
    found: dict[tuple[str | int, ...], str] = {}
    for path in paths:
        before = found.setdefault(place(path), path)
        if rank[path] >= rank[before]:
            found[place(path)] = path
    return [*found.values()]


def _place(path: str, base: BaseModel) -> tuple[str, int, str]:
    """(list of layers, number of the layer, block inside it) of a module: `self_attn`, or T5's `layer.1`."""
    stack = next(name for name in base.architecture.layers if path.startswith(f"{name}."))
    number, *inner = path.removeprefix(f"{stack}.").split(".")
    numbered = len(inner) > 1 and inner[1].isdecimal()
    return stack, int(number), ".".join(inner[: 2 if numbered else 1])
