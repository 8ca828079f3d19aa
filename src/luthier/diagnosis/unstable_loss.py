"""The training loss jumps, comes back up, or is no number; or gradients explode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median
from typing import Any

from luthier.diagnosis import Finding, Symptom
from luthier.diagnosis._case import Case, mean
from luthier.training.guidance import rounded

BEGINNING = 5
"""Steps that say where the loss began."""

SPIKE = 2.0
"""So many times the highest loss of the beginning is a spike: worse than before anything was learned."""

FELL, BACK = 0.3, 0.7
"""A loss that had fallen to one share of where it began and is back at the other has been unlearned."""

WINDOW = 5
"""Steps whose median counts, so that one hard batch is no relapse."""

EXPLOSION = 25.0
"""So many times the usual gradient norm of the run's first quarter, when there is most to learn. Healthy runs with
small batches were seen to reach 11 times at single hard ones."""


class UnstableLoss(Symptom):
    """Spikes, relapses, exploding gradients, and losses that are not finite."""

    def find(self, case: Case) -> Iterator[Finding]:
        """See `luthier.diagnosis.Symptom`."""
        if stopped := _stopped(case):
            yield stopped
            return
        signs = [sign for sign in (_spikes(case), _relapse(case), _explosions(case)) if sign]
        if signs:
            yield Finding(
                "The loss is unstable",
                "problem" if len(signs) > 1 else "warning",
                "; ".join(signs),
                "the learning rate is too high for this batch size, or a few rows are unlike all others",
                _calmer(case),
                "look at the rows of such a step: `luthier inspect`",
            )


def _stopped(case: Case) -> Finding | None:
    """A run that stopped because a number was not finite."""
    told = [event.get("message", "") for event in case.events if event["kind"] == "state"]
    found = re.search(r"the (loss|gradient) of step (\d+) is (nan|-?inf)", told[-1] if told else "")
    if not found:
        return None
    return Finding(
        "The loss is no number",
        "problem",
        f"the {found[1]} of step {found[2]} is {found[3]}; the run stopped there",
        "the learning rate is too high, or the number type has too small a range",
        _calmer(case) | {"model.dtype": "float32"},
    )


def _spikes(case: Case) -> str:
    highest = max(case.losses[:BEGINNING])
    spikes = [event for event in case.steps[BEGINNING:] if event["loss"] > SPIKE * highest]
    if not spikes:
        return ""
    worst = max(spikes, key=lambda event: event["loss"])
    return (
        f"{len(spikes)} of {len(case.steps)} steps have a loss above {SPIKE * highest:.3g}, {SPIKE:g} times the "
        f"highest of the beginning; the worst is {worst['loss']:.3g} at step {worst['step']}"
    )


def _relapse(case: Case) -> str:
    began = mean(case.losses[:BEGINNING])
    smooth = [median(case.losses[end - WINDOW : end]) for end in range(WINDOW, len(case.losses) + 1)]
    low = next((place for place, loss in enumerate(smooth) if loss < FELL * began), None)
    if low is None:
        return ""
    back = max(range(low, len(smooth)), key=lambda place: smooth[place])
    if smooth[back] < BACK * began:
        return ""
    at = [case.steps[place + WINDOW - 1]["step"] for place in (low, back)]
    return (
        f"the loss began at {began:.3g}, was {smooth[low]:.3g} at step {at[0]} and {smooth[back]:.3g} at step {at[1]}"
    )


def _explosions(case: Case) -> str:
    norms = [(event["step"], event["grad_norm"]) for event in case.steps if event.get("grad_norm") is not None]
    if not norms:
        return ""
    usual = median(norm for _, norm in norms[: max(BEGINNING, len(norms) // 4)])
    high = [(step, norm) for step, norm in norms if norm > EXPLOSION * usual]
    if not high:
        return ""
    step, norm = max(high, key=lambda pair: pair[1])
    return (
        f"the gradient norm is over {EXPLOSION:g} times its usual {usual:.3g} at {len(high)} of {len(norms)} steps "
        f"({norm:.3g} at step {step})"
    )


def _calmer(case: Case) -> dict[str, Any]:
    """A lower rate with a longer rise, and gradients that are clipped."""
    training = case.config.training
    third = training.learning_rate / 3
    high = case.usual_rates[1] if case.record.get("parameters") else third
    change: dict[str, Any] = {"training.learning_rate": rounded(min(third, high))}
    if training.max_grad_norm is None:
        change["training.max_grad_norm"] = 1.0
    warmup = getattr(training.schedule, "warmup", None)
    if warmup is not None and warmup < 0.1:
        change["training.schedule.warmup"] = 0.1
    return change
