"""Labels that are far from equally frequent."""

from __future__ import annotations

from collections.abc import Iterator

from luthier.data.imbalance import uneven_labels
from luthier.diagnosis import Finding, NotExamined, Symptom
from luthier.diagnosis._case import Case

POOR = 0.5
"""A recall below says that the rare label is lost."""


class Imbalance(Symptom):
    """The commonest label outnumbers the rarest, and nothing is done about it."""

    def find(self, case: Case) -> Iterator[Finding]:
        """See `luthier.diagnosis.Symptom`."""
        counts = case.label_rows
        if len(counts) < 2:
            raise NotExamined("there are no labels, or they were not counted")
        if case.form != "plain":
            raise NotExamined("balancing goes by a row's one label, and these rows have several labels or tags")
        uneven = uneven_labels(counts)
        if case.config.data.balance is not None or not uneven:
            return
        least = min(counts, key=lambda label: counts[label])
        recall = self._recall(case, least)
        told = "" if recall is None else f"; recall of '{least}' is {recall:.2f}"
        yield Finding(
            "Uneven labels",
            "warning" if recall is not None and recall < POOR else "note",
            f"{uneven}{told}",
            "a model that answers the commonest label is right most of the time",
            case.balancing,
        )

    def _recall(self, case: Case, label: str) -> float | None:
        if not case.run.metrics_file.exists():
            return None
        scores = next(iter(case.comparisons.values())).get("per_class", {}).get("tuned", [])
        return next((float(each["recall"]) for each in scores if each["label"] == label), None)
