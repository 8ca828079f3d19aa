"""The training loss stays where it began."""

from __future__ import annotations

from collections.abc import Iterator

from luthier.diagnosis import Finding, Symptom
from luthier.diagnosis._case import Case, mean
from luthier.training.guidance import rounded

FALL = 0.05
"""A loss that falls by a smaller share has not fallen."""

LEARNED = 0.05
"""In nats: a loss that begins below has nothing left to fall."""


class LossNotFalling(Symptom):
    """The last tenth of the steps has about the loss of the first tenth."""

    def find(self, case: Case) -> Iterator[Finding]:
        """See `luthier.diagnosis.Symptom`."""
        losses = case.losses
        tenth = max(3, len(losses) // 10)
        began, ended = mean(losses[:tenth]), mean(losses[-tenth:])
        if began < LEARNED or ended <= (1 - FALL) * began:
            return
        rate, (low, high, _) = case.config.training.learning_rate, case.usual_rates
        cause = "answers that do not follow from the prompts, or a prompt that hides the text"
        if rate < low:
            cause, better = "a learning rate below what is usual", case.usual_rate
        elif rate > high:
            cause, better = "a learning rate above what is usual: every step goes too far", case.usual_rate
        else:
            cause, better = f"a learning rate too low for this model; or {cause}", rounded(min(3 * rate, high))
        yield Finding(
            "The loss does not fall",
            "problem",
            f"mean loss {began:.3g} over the first {tenth} steps, {ended:.3g} over the last {tenth} of {len(losses)}",
            cause,
            {"training.learning_rate": better} if better != rate else {},
            "look at what is learned of a row: `luthier inspect`",
        )
