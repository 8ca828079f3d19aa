"""Labels with too few rows to learn them from."""

from __future__ import annotations

from collections.abc import Iterator

from luthier.diagnosis import Finding, NotExamined, Symptom
from luthier.diagnosis._case import Case

FEW = 10
"""Fewer rows of a label, or words with a tag, are few for it."""

SHOWN = 10
"""Labels that are named, the rarest first."""


class RareLabels(Symptom):
    """Few training rows of a label, however many there are in all."""

    def find(self, case: Case) -> Iterator[Finding]:
        """See `luthier.diagnosis.Symptom`."""
        counts = case.label_rows
        if not counts:
            raise NotExamined("there are no labels, or they were not counted")
        rare = sorted((label for label, count in counts.items() if count < FEW), key=lambda label: counts[label])
        if not rare:
            return
        named = ", ".join(f"'{label}' ({counts[label]})" for label in rare[:SHOWN])
        named += ", ..." if len(rare) > SHOWN else ""
        tags = case.form == "tags"
        yield Finding(
            "Rare tags" if tags else "Rare labels",
            "note",
            f"fewer than {FEW} training words have {named}" if tags else f"fewer than {FEW} training rows have {named}",
            "what so few teach depends on which ones they are",
            advice="more rows of them help most; or leave them out, or put them together with others",
        )
