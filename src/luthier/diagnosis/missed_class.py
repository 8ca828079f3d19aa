"""A class that is never answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from luthier.diagnosis import Finding, NotExamined, Symptom
from luthier.diagnosis._case import Case


class MissedClass(Symptom):
    """Rows of a class are there, and the tuned model never says so."""

    def find(self, case: Case) -> Iterator[Finding]:
        """See `luthier.diagnosis.Symptom`."""
        mode, comparison = next(iter(case.comparisons.items()))
        if "confusion" not in comparison:
            raise NotExamined("the answers are no classes")
        table = comparison["confusion"]["tuned"]
        expected = {label: sum(row) for label, row in zip(comparison["classes"], table, strict=True)}
        answered = {label: sum(row[place] for row in table) for place, label in enumerate(comparison["classes"])}
        missed = [label for label, rows in expected.items() if rows and not answered[label]]
        if not missed:
            return
        rows = ", ".join(f"'{label}' ({expected[label]} rows)" for label in missed)
        yield Finding(
            "A class is never predicted" if len(missed) == 1 else "Classes are never predicted",
            "problem",
            f"no answer of {comparison['rows']} is {rows}, asked by '{mode}'",
            "too few training rows of it beside the others, too few steps, or a name that the prompt does not offer",
            self._more_of_it(case, missed),
        )

    def _more_of_it(self, case: Case, missed: list[str]) -> dict[str, Any]:
        change = case.balancing
        rows = [case.label_rows[label] for label in missed if label in case.label_rows]
        if not change or (rows and min(rows) >= max(case.label_rows.values()) / 2):
            change["training.epochs"] = 2 * case.config.training.epochs
        return change
