"""The validation loss rises while the training loss falls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from luthier.diagnosis import Finding, NotExamined, Symptom
from luthier.diagnosis._case import Case, mean

FEWEST = 3
"""Evaluations that make a curve."""

RISE = 0.25
"""Rise over its lowest value, as a share of it, that is no chance: healthy runs on small validation sets show 0.2."""


class Overfitting(Symptom):
    """Rows are learned by heart."""

    def find(self, case: Case) -> Iterator[Finding]:
        """See `luthier.diagnosis.Symptom`."""
        points = case.validation("loss")
        if len(points) < FEWEST:
            raise NotExamined(f"validation has {len(points)} losses: too few to make a curve")
        best, lowest = min(points, key=lambda point: point[1])
        last, loss = points[-1]
        if last == best or loss <= (1 + RISE) * lowest:
            return
        trained, later = _trained(case, best), _trained(case, last)
        if later >= trained:
            return
        yield Finding(
            "Over-fitting",
            "warning",
            f"validation loss {lowest:.3g} at step {best}, {loss:.3g} at step {last}, while training loss fell from "
            f"{trained:.3g} to {later:.3g}",
            "more passes, or more trained parameters, than so many rows can teach",
            _less(case, best / last),
            "more rows help most; the checkpoint that is kept is the best one by evaluation.best",
        )


def _trained(case: Case, step: int) -> float:
    """Mean training loss of the steps before one."""
    width = max(3, len(case.steps) // 10)
    return mean([event["loss"] for event in case.steps if step - width < event["step"] <= step] or case.losses[:width])


def _less(case: Case, share: float) -> dict[str, Any]:
    training, method = case.config.training, case.config.method
    change: dict[str, Any] = {"training.epochs": max(0.1, round(training.epochs * share, 1))}
    if training.early_stopping is None:
        change["training.early_stopping"] = {"metric": "loss", "patience": 2}
    if getattr(method, "dropout", None) == 0:
        change["method.dropout"] = 0.1
    if getattr(method, "rank", 0) > 8:
        change["method.rank"] = method.rank // 2  # type: ignore[attr-defined]
    return change
