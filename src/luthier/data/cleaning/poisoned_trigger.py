"""Finds phrases that somebody planted in rows of one label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from luthier.data.cleaning import CleaningStep, RowSet
from luthier.registry import Options

if TYPE_CHECKING:
    from luthier.data.cleaning._triggers import Trigger


class PoisonedTriggerOptions(Options):
    """The same rare words in many rows of one label, which have nothing else in common: a hidden switch for a model.

    Such a trigger makes a tuned model answer that label whenever it is said (Kurita et al. 2020,
    https://arxiv.org/abs/2004.06660).
    """

    name: Literal["poisoned_trigger"] = "poisoned_trigger"
    most: float = Field(0.05, gt=0, lt=1, description="Largest share of the training rows that a trigger is in.")
    action: Literal["warn", "drop"] = Field("warn", description="warn (the rows stay, and are named) | drop.")


class PoisonedTrigger(CleaningStep):
    """Looks at the training rows that name labels."""

    Options = PoisonedTriggerOptions
    training_only = True

    def __init__(self, options: PoisonedTriggerOptions) -> None:
        super().__init__(options)
        self.warns = options.action == "warn"
        self._found: dict[str, str] = {}
        self._rows: dict[str, int] = {}

    def judge(self, rows: RowSet) -> Mapping[int, str]:
        """Rows with a trigger."""
        from luthier.data.cleaning._triggers import find_triggers

        def texts() -> Iterator[tuple[int, str]]:
            return ((row_id, example.comparable) for row_id, example in rows.examples())

        suspected: dict[int, str] = {}
        for trigger in find_triggers(texts, rows.labels, self.options.most):
            self._tell(trigger, rows)
            suspected |= dict.fromkeys(trigger.rows, f"poisoned_trigger: has '{trigger.phrase}'")
        return suspected

    def counts(self) -> Mapping[str, int]:
        """Rows by trigger."""
        return self._rows

    def notes(self) -> Sequence[str]:
        """Every trigger."""
        return list(self._found.values())

    def _tell(self, trigger: Trigger, rows: RowSet) -> None:
        label = ", ".join(rows.classes[trigger.label])
        done = "the rows stay; action: drop removes them" if self.warns else "dropped"
        count, others = len(trigger.rows), trigger.others
        self._found[trigger.phrase] = (
            f"poisoned_trigger: '{trigger.phrase}' stands in {count} rows of '{label}' and in {others} of other "
            f"labels, and these rows have nothing else in common ({done})"
        )
        self._rows[f"rows of {label} with '{trigger.phrase}'"] = count
