"""Optimisers of `bitsandbytes`, which has kernels for some devices and not for others."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from luthier.errors import ConfigError, ModelError
from luthier.training.optimizers import Groups

if TYPE_CHECKING:
    import torch

TRIAL_WEIGHTS = 4096
"""As many as it takes for a state of 8 bits."""


def build(name: str, groups: Groups, **options: Any) -> torch.optim.Optimizer:
    """An optimiser, after it was seen to step on the device of the weights.

    Args:
        name: a class of `bitsandbytes.optim`.
        groups: the trained weights.
        options: for the class.

    Raises:
        ConfigError: `bitsandbytes` is not installed.
        ModelError: it has no kernel for this device.
    """
    if find_spec("bitsandbytes") is None:
        raise ConfigError(
            f"{name} is an optimiser of bitsandbytes, which is not installed",
            where="training.optimizer",
            hint="pip install 'luthier[quantise]'",
        )
    import torch
    from bitsandbytes import optim

    device = groups[0]["params"][0].device
    tried = torch.nn.Parameter(torch.zeros(TRIAL_WEIGHTS, device=device))
    tried.grad = torch.ones_like(tried)
    try:
        getattr(optim, name)([tried], **options).step()
    except Exception as error:  # whatever a missing kernel makes the library stumble over
        raise ModelError(
            f"bitsandbytes has no {name} for {device.type}: {error}", hint="training.optimizer: adamw"
        ) from error
    made: torch.optim.Optimizer = getattr(optim, name)(groups, **options)
    return made
