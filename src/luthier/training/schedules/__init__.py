"""Learning rate schedules, one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import Field

from luthier.registry import Options
from luthier.shares import ShareOrSteps, share_to_steps


class Schedule(Protocol):
    """What a schedule does. Every file of this package has one class of this shape, built from its options."""

    Options: ClassVar[type[Options]]

    def __init__(self, options: Any) -> None: ...

    def factor(self, step: int, total: int) -> float:
        """What the peak learning rate is multiplied with, from 0 to 1.

        Args:
            step: optimiser steps already done: 0 for the first one.
            total: optimiser steps of the whole run.
        """
        ...


@runtime_checkable
class FollowsScores(Protocol):
    """A schedule that also goes by how validation went. Every checkpoint keeps its state, so resuming is exact.

    Attributes:
        metric: the validation metric that it goes by; auto = the one of evaluation.best.
    """

    metric: str

    def see(self, value: float, better: Callable[[float, float], bool]) -> None:
        """Called after every evaluation.

        Args:
            value: the metric's.
            better: whether a value of the metric is better than another one.
        """
        ...

    def state(self) -> dict[str, float | None]:
        """What it remembers, as plain values."""
        ...

    def restore(self, state: Mapping[str, float | None]) -> None:
        """Goes back to what it remembered; an empty state is the beginning."""
        ...


class WarmupOptions(Options):
    """Options of a schedule that begins by rising from zero to the peak in a straight line."""

    warmup: ShareOrSteps = Field(
        0.05,
        description="Steps until the peak is reached: a share of all steps (float up to 1) or a number.",
    )


def warmed_up(step: int, total: int, warmup: float) -> tuple[float | None, float]:
    """Where a step lies in a schedule with warm-up.

    Returns:
        The factor while warming up (None afterwards), and how much of what follows the warm-up is done, from 0 to 1.
    """
    warmup_steps = share_to_steps(warmup, total) or 0
    if step < warmup_steps:
        return step / warmup_steps, 0.0
    return None, min(1.0, (step - warmup_steps) / max(1, total - warmup_steps))
