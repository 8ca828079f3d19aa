"""How layers are named in a method's options: `0-3`, `0-3,7`, `5` or a list of numbers; all become a list."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from luthier.errors import ModelError
from luthier.models.architectures import Architecture


def _parse(value: Any) -> Any:
    if isinstance(value, int):
        return [value]
    if not isinstance(value, str):
        return value
    found: list[int] = []
    for part in value.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        if not match:
            raise ValueError(f"'{value}' names no layers; write 0-3, 0-3,7 or a list of numbers")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError(f"'{part.strip()}' ends before it begins")
        found.extend(range(first, last + 1))
    return found


Layers = Annotated[list[int], BeforeValidator(_parse)]
"""Layer numbers, from 0."""


def check_layers(layers: list[int], network: Any, architecture: Architecture) -> None:
    """Raises ModelError when the network has no such layer."""
    depth = max((len(network.get_submodule(name)) for name in architecture.layers), default=0)
    outside = [layer for layer in layers if not 0 <= layer < depth]
    if outside:
        raise ModelError(
            f"there is no layer {outside[0]}", expected=f"0 to {depth - 1}: this network has {depth} layers"
        )
