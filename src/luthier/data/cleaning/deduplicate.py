"""Drops rows that say the same as an earlier one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from luthier.data.cleaning import CleaningStep, RowSet
from luthier.registry import Options


class DeduplicateOptions(Options):
    """Exact and near-duplicate rows; the first one is kept."""

    name: Literal["deduplicate"] = "deduplicate"
    near: float | None = Field(
        0.8,
        gt=0.5,
        le=1,
        description="Overlap of character 5-grams (Jaccard similarity) from which on two rows are near-duplicates; "
        "null = only rows with the same text.",
    )


class Deduplicate(CleaningStep):
    """Same text first, then near-duplicates among what is left."""

    Options = DeduplicateOptions

    def judge(self, rows: RowSet) -> Mapping[int, str]:
        """Reasons name the row that is kept instead."""
        import numpy as np

        from luthier.data.similarity import equal_to, nearest_earlier

        firsts = equal_to(rows.signatures.exact, rows.rows, rows.rows)
        repeated = firsts != rows.rows
        exact = dict(zip(rows.rows[repeated].tolist(), firsts[repeated].tolist(), strict=True))
        near: dict[int, int] = {}
        if self.options.near is not None:
            single = np.ascontiguousarray(rows.rows[~repeated])
            near = nearest_earlier(rows.signatures, single, self.options.near, rows.text, rows.related)
        reasons = {row: _reason("exact duplicate", row, kept, rows) for row, kept in exact.items()}
        return reasons | {row: _reason("near-duplicate", row, kept, rows) for row, kept in near.items()}


def _reason(what: str, row: int, kept: int, rows: RowSet) -> str:
    other = rows.labels[row] != rows.labels[kept]
    return f"{what} of row {kept}" + (" with another label" if other else "")
