"""What a symptom says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["problem", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("problem", "warning", "note")
"""From what spoils a run to what is only worth knowing."""


@dataclass(frozen=True)
class SuspectRow:
    """A training row that a finding is about.

    Attributes:
        row_id: its id in the ledger.
        where: file:line.
        text: what it says.
        label: its label.
        suggested: the label that other rows speak for.
        probability: of its own label, by a model that has not seen the row.
    """

    row_id: int
    where: str
    text: str
    label: str
    suggested: str
    probability: float


@dataclass(frozen=True)
class Finding:
    """Something that was seen in a run.

    Attributes:
        title: what it is, in a few words.
        severity: problem, warning or note.
        seen: the numbers.
        cause: where it likely comes from.
        change: keys of the configuration with the value to try next.
        advice: what else to do.
        rows: the rows it is about, the most suspect first.
        symptom: name of the symptom, filled in by `diagnose`.
    """

    title: str
    severity: Severity
    seen: str
    cause: str
    change: Mapping[str, Any] = field(default_factory=dict)
    advice: str = ""
    rows: tuple[SuspectRow, ...] = ()
    symptom: str = ""


class NotExamined(Exception):
    """A symptom cannot be looked for in this run; the message says why."""
