"""A model of `transformers` seen from the fast engine: head, body, layers, and what it draws at random."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from torch import nn

DROPOUTS = ("attention_dropout", "attn_pdrop", "dropout", "activation_dropout")
"""Keys of configurations whose dropout may be applied without a module of its own."""


@dataclass(frozen=True)
class Parts:
    """A causal model or classifier, taken out of its `peft` wrapper.

    Attributes:
        network: with the wrapper.
        whole: the model with its head.
        body: what gives hidden states.
        layers: the body's repeated layers, in order.
        configs: the configurations that its modules read.
        accepted: names of the arguments of the body's forward.
    """

    network: Any
    whole: Any
    body: Any
    layers: tuple[nn.Module, ...]
    configs: tuple[Any, ...]
    accepted: frozenset[str]

    @classmethod
    def of(cls, network: Any) -> Parts:
        """Finds them.

        Raises:
            NotImplementedError: the model cannot be run in parts.
        """
        whole = network.get_base_model() if hasattr(network, "get_base_model") else network
        body = whole.base_model
        accepted = frozenset(inspect.signature(body.forward).parameters)
        if body is whole or "position_ids" not in accepted:
            raise NotImplementedError("the model cannot be given positions of its tokens")
        lists = [module for module in body.modules() if isinstance(module, nn.ModuleList)]
        configs = {id(module.config): module.config for module in network.modules() if hasattr(module, "config")}
        return cls(network, whole, body, tuple(lists[0]) if lists else (), tuple(configs.values()), accepted)

    @property
    def draws(self) -> bool:
        """Whether its modules or its configuration say that dropout is drawn while training; the trial tries it."""
        modules = any(isinstance(module, nn.Dropout) and module.p for module in self.network.modules())
        return modules or any(getattr(config, name, 0) for config in self.configs for name in DROPOUTS)
