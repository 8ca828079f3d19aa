"""Too few rows to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from luthier.diagnosis import Finding, NotExamined, Symptom
from luthier.diagnosis._case import Case

ROWS = 200
"""Fewer training rows are few for anything."""


class FewRows(Symptom):
    """Few training rows in all."""

    def find(self, case: Case) -> Iterator[Finding]:
        """See `luthier.diagnosis.Symptom`."""
        rows = case.record.get("data", {}).get("rows", {}).get("train")
        if rows is None:
            raise NotExamined("the run has not begun to train")
        if rows >= ROWS:
            return
        yield Finding(
            "Few training rows",
            "note",
            f"{rows} training rows",
            "what so few rows teach depends on which ones they are",
            self._more_passes(case),
            "more rows help most; compare with the few-shot base, which needs none",
        )

    def _more_passes(self, case: Case) -> dict[str, Any]:
        training = case.config.training
        change: dict[str, Any] = {"training.epochs": 5} if training.epochs < 5 else {}
        if training.early_stopping is None:
            change["training.early_stopping"] = {"patience": 3}
        if getattr(case.config.method, "rank", 0) > 8:
            change["method.rank"] = 8
        return change
