"""Too few rows to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from luthier.diagnosis import Finding, NotExamined, Symptom
from luthier.diagnosis._case import Case

ROWS = 200
"""Fewer training rows are few for anything."""

PER_LABEL = 10
"""Fewer rows of a label are few for it."""


class FewRows(Symptom):
    """Few training rows in all, or few of a label."""

    def find(self, case: Case) -> Iterator[Finding]:
        """See `luthier.diagnosis.Symptom`."""
        rows = case.record.get("data", {}).get("rows", {}).get("train")
        if rows is None:
            raise NotExamined("the run has not begun to train")
        rare = {label: count for label, count in case.label_rows.items() if count < PER_LABEL}
        if rows >= ROWS and not rare:
            return
        named = ", ".join(f"'{label}' ({count})" for label, count in rare.items())
        yield Finding(
            "Few training rows",
            "note",
            f"{rows} training rows" + (f"; labels with fewer than {PER_LABEL}: {named}" if rare else ""),
            "what so few rows teach depends on which ones they are",
            self._more_of_each(case),
            "more rows help most; compare with the few-shot base, which needs none",
        )

    def _more_of_each(self, case: Case) -> dict[str, Any]:
        training = case.config.training
        change: dict[str, Any] = {"training.epochs": 5} if training.epochs < 5 else {}
        if training.early_stopping is None:
            change["training.early_stopping"] = {"patience": 3}
        if getattr(case.config.method, "rank", 0) > 8:
            change["method.rank"] = 8
        return change
