"""The last layer, computed where something reads it.

Behind the last layer a loss reads some tokens only: the supervised ones, or one of each row. Of that layer itself, all
other tokens need to give keys and values and nothing else, so its queries, its MLP and whatever stands around them are
computed for the tokens that are read, and are zero elsewhere. Which of its modules these are is asked of the layer:
those on whose output at other tokens no gradient arrives, and which look at each token by itself.

Shapes: t = computed tokens of a micro-batch, n = those that are read, i = inputs of a module, o = its outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import Cache

MOST = 0.75
"""Share of the tokens that may be read: with more there is little to save."""

Forward = Callable[[torch.Tensor], torch.Tensor]
Call = tuple[torch.Tensor, torch.Tensor]
"""What a module was given [1, t, i], and what it returned [1, t, o]."""


class Last:
    """Modules of the last layer that are computed for some tokens only."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = list(modules)
        self._read_n: torch.Tensor | None = None

    @classmethod
    def of(cls, layer: nn.Module, forward: Callable[[], object], read_n: torch.Tensor) -> Last | None:
        """Finds them; None when there are none.

        Args:
            layer: the last one.
            forward: runs the model on some tokens.
            read_n: flat indices of those among them that are read.
        """
        calls, hidden_1td = _look(layer, forward)
        if not calls:
            return None
        unread = torch.ones(hidden_1td.shape[1], dtype=torch.bool, device=hidden_1td.device)
        unread[read_n] = False
        outputs = {module: y for module, (_, y) in calls.items()}
        gradients = torch.autograd.grad(
            _weighed(hidden_1td, read_n), list(outputs.values()), retain_graph=True, allow_unused=True
        )
        alone = {
            module
            for module, gradient in zip(outputs, gradients, strict=True)
            if gradient is not None and not gradient[0, unread].any() and _by_token(*calls[module], read_n, unread)
        }
        modules = list(_outermost(layer, alone))
        return cls(modules) if modules else None

    def focus(self, read_n: torch.Tensor, tokens: int) -> None:
        """Says which tokens of the next micro-batch are read, each one or several times."""
        read_n = torch.unique(read_n)
        self._read_n = read_n if 0 < len(read_n) <= MOST * tokens else None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Puts the narrowed modules in place of the whole ones."""
        before = [vars(module).get("forward") for module in self.modules]
        for module in self.modules:
            module.forward = self._narrowed(module.forward)
        try:
            yield
        finally:
            for module, forward in zip(self.modules, before, strict=True):
                del module.forward
                if forward is not None:
                    module.forward = forward
            self._read_n = None

    def _narrowed(self, forward: Forward) -> Forward:
        def narrowed(x_1ti: torch.Tensor) -> torch.Tensor:
            if self._read_n is None:
                return forward(x_1ti)
            y_1no = forward(x_1ti.index_select(1, self._read_n))
            nothing_1to = y_1no.new_zeros(1, x_1ti.shape[1], y_1no.shape[2])
            return nothing_1to.index_copy(1, self._read_n, y_1no)

        return narrowed


def _look(layer: nn.Module, forward: Callable[[], object]) -> tuple[dict[nn.Module, Call], torch.Tensor]:
    """The calls of the layer's modules that have weights and take and give a tensor for each token, and its output."""
    inputs: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    handle = layer.register_forward_pre_hook(
        lambda module, args, kwargs: inputs.append(
            (tuple(map(_before, args)), {name: _before(value) for name, value in kwargs.items()})
        ),
        with_kwargs=True,
    )
    try:
        with torch.no_grad():
            forward()
    finally:
        handle.remove()
    args, kwargs = inputs[0]
    hidden_1td = (args[0] if args else kwargs["hidden_states"]).detach().requires_grad_()
    args, kwargs = ((hidden_1td, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": hidden_1td})
    calls: dict[nn.Module, list[Any]] = {}

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
        calls.setdefault(module, []).append((*args, *kwargs.values(), output))

    inner = [module for module in layer.modules() if module is not layer and any(True for _ in module.parameters())]
    handles = [module.register_forward_hook(note, with_kwargs=True) for module in inner]
    try:
        with torch.enable_grad():
            output = layer(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    fitting = {module: found[0] for module, found in calls.items() if len(found) == 1 and _fits(found[0], hidden_1td)}
    return fitting, output if isinstance(output, torch.Tensor) else output[0]


def _before(argument: Any) -> Any:
    """An argument of a layer as it was before it ran: it adds to a cache that it is given."""
    return copy.deepcopy(argument) if isinstance(argument, Cache) else argument


def _fits(call: Sequence[Any], hidden_1td: torch.Tensor) -> bool:
    """Whether a module took one tensor and gave one, with a vector for each token."""
    tensors = len(call) == 2 and all(isinstance(value, torch.Tensor) and value.requires_grad for value in call)
    return tensors and all(value.ndim == 3 and value.shape[:2] == hidden_1td.shape[:2] for value in call)


def _weighed(values_1to: torch.Tensor, read_n: torch.Tensor) -> torch.Tensor:
    """A number that depends on everything that is read."""
    read = values_1to[0, read_n]
    weights = torch.rand(read.shape, generator=torch.Generator().manual_seed(0)).to(read)
    return (read * weights).sum()


def _by_token(x_1ti: torch.Tensor, y_1to: torch.Tensor, read_n: torch.Tensor, unread: torch.Tensor) -> bool:
    """Whether what a module gives for the tokens that are read depends on nothing but them."""
    (gradient,) = torch.autograd.grad(_weighed(y_1to, read_n), x_1ti, retain_graph=True, allow_unused=True)
    return gradient is not None and not bool(gradient[0, unread].any())


def _outermost(module: nn.Module, chosen: set[nn.Module]) -> Iterator[nn.Module]:
    """The chosen modules below one, without those inside of others."""
    for child in module.children():
        if child in chosen:
            yield child
        else:
            yield from _outermost(child, chosen)
