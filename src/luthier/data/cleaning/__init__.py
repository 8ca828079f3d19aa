"""Cleaning steps, one file each: what is repaired in a row, and which rows are dropped when all of them are seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from luthier.data.examples import Example
from luthier.registry import Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from luthier.data.similarity import Signatures


@dataclass(frozen=True)
class RowSet:
    """All rows that a step may judge at once, without their texts in memory.

    Attributes:
        rows: int64, ids of the rows, ascending.
        signatures: of every row, by id.
        labels: int32, number of the classes that every row names by id, -1 for rows that name none.
        text: the text of a row, read from disk.
        families: int64, for every row by id the row of the input that holds it; examples of one row, such as questions
            about one table, have most of their text in common and are no duplicates of each other. None = every row
            is its own.
    """

    rows: NDArray[np.int64]
    signatures: Signatures
    labels: NDArray[np.int32]
    text: Callable[[int], str]
    families: NDArray[np.int64] | None = None

    def related(self, row: int, other: int) -> bool:
        """Whether two rows are examples of one row of the input."""
        return self.families is not None and bool(self.families[row] == self.families[other])


class DroppedRow(Exception):
    """What `repair` raises to drop a row; its message is the ledger's reason."""


class CleaningStep:
    """Base of all steps. A step overrides `repair`, `judge` or both; both run in the order of `data.clean`.

    Every file of this package has one class of this shape, built from its options.
    """

    Options: ClassVar[type[Options]]

    def __init__(self, options: Any) -> None:
        self.options = options

    def repair(self, example: Example) -> tuple[Example, str | None]:
        """One row as it is read: the example, better, and what was changed in it (None = nothing).

        Raises:
            DroppedRow: the row is not worth keeping.
        """
        return example, None

    def judge(self, rows: RowSet) -> Mapping[int, str]:
        """All rows, after every `repair`: row id -> why it is dropped. Rows of other splits are judged on their own."""
        return {}
