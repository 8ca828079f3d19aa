"""A learning rate that nobody uses with this method."""

from __future__ import annotations

from collections.abc import Iterator

from luthier.diagnosis import Finding, Symptom
from luthier.diagnosis._case import Case


class LearningRate(Symptom):
    """`training.learning_rate` lies outside the method's usual range."""

    def find(self, case: Case) -> Iterator[Finding]:
        """See `luthier.diagnosis.Symptom`."""
        rate, (low, high, source) = case.config.training.learning_rate, case.usual_rates
        if low <= rate <= high:
            return
        yield Finding(
            "An unusual learning rate",
            "warning",
            f"{rate:g}, where {low:g} to {high:g} is usual for {case.config.method.name} on a model of "
            f"{case.record['parameters']:,} parameters ({source})",
            "above the range steps go too far and the loss is unstable; below it little is learned"
            if rate > high
            else "below the range little is learned in the same steps",
            {"training.learning_rate": case.usual_rate},
        )
