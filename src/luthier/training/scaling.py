"""Scaling the loss, so that small gradients do not vanish in float16 (https://arxiv.org/abs/1710.03740).

A step whose gradient overflows is computed again at half the scale: no row is skipped, and where nothing overflows the
result does not depend on the scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from luthier.training.checkpoints import Progress

if TYPE_CHECKING:
    import torch

START, LARGEST = 2.0**16, 2.0**24
GROW_AFTER = 2000
"""Steps without overflow after which the scale is doubled."""


class LossScale:
    """The scale of a run's loss, kept in its progress; always 1 where it is not `used`."""

    def __init__(self, progress: Progress, *, used: bool) -> None:
        self.progress, self.used = progress, used
        if used and progress.step == 0:
            progress.loss_scale = START

    @property
    def value(self) -> float:
        """What the loss is multiplied by."""
        return self.progress.loss_scale

    def settle(self, parameters: Sequence[torch.Tensor]) -> bool:
        """Divides the gradients by the scale.

        Returns:
            False when one of them overflowed: the scale was halved, and the step is to be computed again. At a scale
            of 1 nothing can be done, and they stay as they are.
        """
        if not self.used:
            return True
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        finite = all(bool(gradient.isfinite().all()) for gradient in gradients)
        if not finite and self.value > 1.0:
            self.progress.loss_scale, self.progress.good_steps = self.value / 2, 0
            return False
        for gradient in gradients:
            gradient.div_(self.value)
        self.progress.good_steps += 1
        if self.progress.good_steps >= GROW_AFTER:
            self.progress.loss_scale, self.progress.good_steps = min(2 * self.value, LARGEST), 0
        return True
