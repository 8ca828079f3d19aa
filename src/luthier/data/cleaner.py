"""The cleaning steps of a run at work: what each changed and dropped, with a few examples for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from luthier import registry
from luthier.config import DataConfig
from luthier.data.cleaning import CleaningStep, DroppedRow, RowSet
from luthier.data.examples import Example, Row
from luthier.data.personal import hidden
from luthier.data.texts import texts

CLEANING = "cleaning.json"
"""File beside the ledger: what every step did."""

_EXAMPLES = 3
_BEFORE_CHANGE = 60
_SHOWN = 240


@dataclass(frozen=True)
class Shown:
    """An example of what a step did. Personal data is hidden, whether or not a step masks it.

    Attributes:
        why: the change, or the reason why the row was dropped or noted.
        before: the text as it stood; None where that is private.
        after: the text as it stands now; None where the row was not changed.
    """

    why: str
    before: str | None
    after: str | None = None


def load_steps(config: DataConfig) -> list[CleaningStep]:
    """The cleaning steps, in order; each knows those before it."""
    steps: list[CleaningStep] = [registry.load("cleaning", options.name)(options) for options in config.clean]
    for place, step in enumerate(steps):
        step.before = steps[:place]
    return steps


class StepAtWork:
    """One step, and what it has done so far.

    Attributes:
        step: the step.
        changed: rows that it changed.
        dropped: rows that it dropped.
        noted: rows that it only noted: the user's own validation and test rows, or all when it warns.
    """

    def __init__(self, step: CleaningStep, steps: Sequence[CleaningStep]) -> None:
        self.step = step
        self._steps = steps
        self.changed = self.dropped = self.noted = 0
        self._examples: list[Shown] = []

    def drops(self, role: str) -> bool:
        """Whether rows from a source of that split are dropped; otherwise they are only noted."""
        return role == "train" and not self.step.warns

    def repair(self, example: Example, row: Row, role: str) -> tuple[Example, str | None]:
        """See `CleaningStep.repair`; rows that are never dropped come back as they are, with the reason as a change.

        Raises:
            DroppedRow: the row is not worth keeping.
        """
        if self.step.training_only and role != "train":
            return example, None
        try:
            repaired, change = self.step.repair(example, row)
        except DroppedRow as error:
            self._count(role, str(error), texts(example)[0], self._secrets(row))
            if self.drops(role):
                raise
            return example, str(error)
        if change is not None:
            self.changed += 1
            if len(self._examples) < _EXAMPLES:
                self._examples.append(self._shown(change, example, repaired, self._secrets(row)))
        return repaired, change

    def judge(self, rows: RowSet, role: str) -> Mapping[int, str]:
        """See `CleaningStep.judge`; whether these rows are dropped, `drops` says."""
        if self.step.training_only and role != "train":
            return {}
        judged = self.step.judge(rows)
        for row, reason in judged.items():
            self._count(role, reason, rows.text(row) if len(self._examples) < _EXAMPLES else "")
        return judged

    def report(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.step.options.name,
            "changed": self.changed,
            "dropped": self.dropped,
            "noted": self.noted,
            "counts": dict(self.step.counts()),
            "examples": [asdict(example) for example in self._examples],
        }

    def _secrets(self, row: Row) -> list[str]:
        """What no example may show of a row, by any of the steps."""
        return [value for step in self._steps for value in step.secrets(row)]

    def _count(self, role: str, reason: str, text: str, secrets: Sequence[str] = ()) -> None:
        if self.drops(role):
            self.dropped += 1
        else:
            self.noted += 1
        if len(self._examples) < _EXAMPLES:
            self._examples.append(Shown(reason, _excerpt(hidden(text, secrets), 0)))

    def _shown(self, change: str, before: Example, after: Example, secrets: Sequence[str]) -> Shown:
        pairs = zip(texts(before), texts(after), strict=True)
        old, new = next(((one, two) for one, two in pairs if one != two), (texts(before)[0], texts(after)[0]))
        new = hidden(new, secrets)
        if self.step.private:
            return Shown(change, None, _excerpt(new, new.find("[")))
        old = hidden(old, secrets)
        shared = (place for place, (one, two) in enumerate(zip(old, new, strict=False)) if one != two)
        place = next(shared, min(len(old), len(new)))
        return Shown(change, _excerpt(old, place), _excerpt(new, place))


class Cleaner:
    """All steps of a run, in order."""

    def __init__(self, config: DataConfig) -> None:
        steps = load_steps(config)
        self.steps = [StepAtWork(step, steps) for step in steps]

    def repair(self, example: Example, row: Row, role: str) -> tuple[Example, str]:
        """A row after every step, and what was changed in it or noted about it.

        Raises:
            DroppedRow: a step drops it.
        """
        changes: list[str] = []
        for step in self.steps:
            example, change = step.repair(example, row, role)
            changes += [change] if change else []
        return example, "; ".join(changes)

    def notes(self) -> list[str]:
        """What the steps say aloud when all rows are seen."""
        return [note for step in self.steps for note in step.step.notes()]

    def report(self) -> Sequence[dict[str, Any]]:
        """What every step did, for `cleaning.json`."""
        return [step.report() for step in self.steps]


def _excerpt(text: str, place: int) -> str:
    """A piece of a text around a place."""
    start = max(place - _BEFORE_CHANGE, 0) if len(text) > _SHOWN else 0
    cut = text[start : start + _SHOWN]
    return ("…" if start else "") + cut + ("…" if start + _SHOWN < len(text) else "")
