"""What is wrong with a run and what to change, from nothing but its folder. Symptoms are one file each.

A file NAME.py has a class named in CamelCase, derived from `Symptom`, which looks for one thing and yields what it
found: the numbers that were seen, the likely cause and what to change. A healthy run has no findings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from luthier import registry
from luthier.diagnosis._case import Case
from luthier.diagnosis._finding import SEVERITIES, Finding, NotExamined, SuspectRow
from luthier.runs import Run
from luthier.runs.files import read_json, write_json

__all__ = ["Case", "Diagnosis", "Finding", "NotExamined", "SuspectRow", "Symptom", "diagnose", "write_diagnosis"]

FILE = "diagnosis.json"
"""In the run's folder."""


class Symptom(ABC):
    """One thing that may be wrong."""

    quick: ClassVar[bool] = True
    """Whether it only reads. What computes longer is left to `luthier diagnose`; the report repeats what that found."""

    @abstractmethod
    def find(self, case: Case) -> Iterable[Finding]:
        """What was found; nothing when all is well.

        Raises:
            NotExamined: the run's folder lacks what it takes to tell.
        """


@dataclass(frozen=True)
class Diagnosis:
    """What was found in a run.

    Attributes:
        run: its folder.
        findings: the gravest first.
        examined: symptoms that were looked for.
        unexamined: symptoms that could not be looked for, each with the reason.
    """

    run: str
    findings: list[Finding]
    examined: list[str]
    unexamined: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis as plain values."""
        return asdict(self)


def diagnose(run: Run, *, quick: bool = False) -> Diagnosis:
    """Looks for every symptom in a run's folder.

    Args:
        run: the run.
        quick: takes what `luthier diagnose` wrote down of the symptoms that need computing, instead of computing.
    """
    case = Case(run)
    written = _written(run) if quick else {}
    found: list[Finding] = []
    examined: list[str] = []
    unexamined: dict[str, str] = {}
    for name in registry.names("symptom"):
        symptom: Symptom = registry.load("symptom", name)()
        try:
            if quick and not symptom.quick:
                found += _remembered(name, written)
            else:
                found += [replace(finding, symptom=name) for finding in symptom.find(case)]
            examined.append(name)
        except NotExamined as reason:
            unexamined[name] = str(reason)
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Diagnosis(str(run.path), found, examined, unexamined)


def write_diagnosis(run: Run, diagnosis: Diagnosis) -> None:
    """Writes diagnosis.json into the run's folder."""
    write_json(run.path / FILE, diagnosis.to_dict())


def _written(run: Run) -> dict[str, Any]:
    file = run.path / FILE
    written: dict[str, Any] = read_json(file) if file.exists() else {}
    return written


def _remembered(name: str, written: Mapping[str, Any]) -> list[Finding]:
    """What was written down of a symptom.

    Raises:
        NotExamined: nothing was.
    """
    if name not in written.get("examined", []):
        raise NotExamined(written.get("unexamined", {}).get(name, "that takes computing: `luthier diagnose` does it"))
    return [
        Finding(**finding | {"rows": tuple(SuspectRow(**row) for row in finding["rows"])})
        for finding in written["findings"]
        if finding["symptom"] == name
    ]
