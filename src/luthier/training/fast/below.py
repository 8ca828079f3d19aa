"""What lies below the first trained layer, computed once for the whole run.

Where only upper layers are adapted and nothing below draws dropout, the hidden states under the first trained layer
never change. They are computed in the order of the rows before the first step, so that a resumed run finds the same
numbers, and every step begins at that layer.

Shapes: t = computed tokens of a micro-batch, d = hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from luthier.training.fast.batch import FlatBatch

MOST_OF_FREE = 0.25
"""Share of the free memory that remembered states may take."""


class Below:
    """Hidden states under the first trained layer, by row."""

    def __init__(self, layers: Sequence[nn.Module], first: int) -> None:
        self.lower, self.upper = list(layers[:first]), list(layers[first:])
        self._states: dict[bytes, torch.Tensor] = {}

    @classmethod
    def of(cls, body: nn.Module, layers: Sequence[nn.Module]) -> Below | None:
        """None unless all that is trained of the body lies in some of its upper layers."""
        trained = [any(parameter.requires_grad for parameter in layer.parameters()) for layer in layers]
        first = trained.index(True) if True in trained else 0
        inside = {id(parameter) for layer in layers for parameter in layer.parameters()}
        outside = any(parameter.requires_grad and id(parameter) not in inside for parameter in body.parameters())
        return cls(layers, first) if first and not outside else None

    def remember(self, flat: FlatBatch, forward: Callable[[FlatBatch], object]) -> None:
        """Computes and keeps the states of a micro-batch's rows."""
        found: list[torch.Tensor] = []

        def look(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            found.append(args[0] if args else kwargs["hidden_states"])

        handle = self.upper[0].register_forward_pre_hook(look, with_kwargs=True)
        try:
            with torch.no_grad(), _skipped(self.upper):
                forward(flat)
        finally:
            handle.remove()
        for key, places in zip(_keys(flat), flat.places, strict=True):
            self._states[key] = found[0][0].index_select(0, places.to(found[0].device))

    def knows(self, flat: FlatBatch) -> bool:
        """Whether all rows of a micro-batch are remembered."""
        return bool(self._states) and all(key in self._states for key in _keys(flat))

    @contextmanager
    def replayed(self, flat: FlatBatch) -> Iterator[None]:
        """Runs the upper layers only, on what was remembered."""
        states = [self._states[key] for key in _keys(flat)]
        hidden_td = states[0].new_empty(flat.computed, states[0].shape[1])
        for places, state in zip(flat.places, states, strict=True):
            hidden_td.index_copy_(0, places.to(hidden_td.device), state)

        def put(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            if args:
                return (hidden_td[None], *args[1:]), kwargs
            return args, kwargs | {"hidden_states": hidden_td[None]}

        handle = self.upper[0].register_forward_pre_hook(put, with_kwargs=True)
        try:
            with _skipped(self.lower):
                yield
        finally:
            handle.remove()

    def forget(self) -> None:
        """Gives the memory back."""
        self._states.clear()


@contextmanager
def _skipped(layers: Sequence[nn.Module]) -> Iterator[None]:
    """Layers that hand their input on."""

    def hand_on(hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return hidden_states

    for layer in layers:
        layer.forward = hand_on
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _keys(flat: FlatBatch) -> list[bytes]:
    """What a row is remembered by: its tokens."""
    tokens_t = flat.input_ids_1t[0].cpu().numpy()
    return [np.ascontiguousarray(tokens_t[places.numpy()]).tobytes() for places in flat.places]
