"""Warm-up, then the peak, which is lowered whenever validation no longer gets better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from pydantic import Field

from luthier.training.schedules import WarmupOptions, warmed_up


class PlateauOptions(WarmupOptions):
    """Warm-up, then the peak, which is lowered whenever validation no longer gets better."""

    name: Literal["plateau"] = Field("plateau", description="The schedule's name.")
    metric: str = Field("auto", description="Validation metric to watch; auto = the one of evaluation.best.")
    patience: int = Field(2, ge=1, description="Evaluations without improvement before the rate is lowered.")
    factor: float = Field(0.5, gt=0, lt=1, description="What it is then multiplied with.")
    minimum: float = Field(0.0, ge=0, le=1, description="How low it gets at most, as a share of the peak.")


class Plateau:
    """The same as `torch.optim.lr_scheduler.ReduceLROnPlateau` with threshold 0 and a patience of one less."""

    Options = PlateauOptions

    def __init__(self, options: PlateauOptions) -> None:
        self.options = options
        self.metric = options.metric
        self._best: float | None = None
        self._stale = self._cuts = 0

    def factor(self, step: int, total: int) -> float:
        """See `luthier.training.schedules.Schedule`."""
        rising, _ = warmed_up(step, total, self.options.warmup)
        return max(self.options.minimum, self.options.factor**self._cuts) if rising is None else rising

    def see(self, value: float, better: Callable[[float, float], bool]) -> None:
        """Counts evaluations since the best one, and lowers the rate when there are too many."""
        if self._best is None or better(value, self._best):
            self._best, self._stale = value, 0
            return
        self._stale += 1
        if self._stale >= self.options.patience:
            self._cuts, self._stale = self._cuts + 1, 0

    def state(self) -> dict[str, float | None]:
        """The best score, evaluations since then, and how often the rate was lowered."""
        return {"best": self._best, "stale": self._stale, "cuts": self._cuts}

    def restore(self, state: Mapping[str, float | None]) -> None:
        """Goes back to what `state` gave."""
        self._best = state.get("best")
        self._stale, self._cuts = int(state.get("stale") or 0), int(state.get("cuts") or 0)
