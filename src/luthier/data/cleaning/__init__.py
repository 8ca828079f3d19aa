"""Cleaning steps, one file each: what is repaired in a row, and which rows are dropped when all of them are seen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from luthier.data.examples import Example, Row
from luthier.data.texts import Change, map_texts, texts
from luthier.registry import Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from luthier.data.reading.sources import RowSource
    from luthier.data.similarity import Signatures


@dataclass(frozen=True)
class RowSet:
    """All rows that a step may judge at once, without their texts in memory.

    Attributes:
        rows: int64, ids of the rows, ascending.
        signatures: of every row, by id.
        labels: int32, number of the classes that every row names by id, -1 for rows that name none.
        text: the text of a row, read from disk.
        classes: the classes that rows name, by the numbers in `labels`.
        examples: streams (id, example) of `rows` from disk, in order, as often as it is called.
        families: int64, for every row by id the row of the input that holds it; examples of one row, such as questions
            about one table, have most of their text in common and are no duplicates of each other. None = every row
            is its own.
    """

    rows: NDArray[np.int64]
    signatures: Signatures
    labels: NDArray[np.int32]
    text: Callable[[int], str]
    classes: Sequence[tuple[str, ...]] = ()
    examples: Callable[[], Iterator[tuple[int, Example]]] = lambda: iter(())
    families: NDArray[np.int64] | None = None

    def related(self, row: int, other: int) -> bool:
        """Whether two rows are examples of one row of the input."""
        return self.families is not None and bool(self.families[row] == self.families[other])


class DroppedRow(Exception):
    """What `repair` raises to drop a row; its message is the ledger's reason."""


class CleaningStep:
    """Base of all steps. A step overrides `repair`, `judge` or both; both run in the order of `data.clean`.

    Every file of this package has one class of this shape, built from its options. Rows of the user's own validation
    and test files are repaired like others, but never dropped: what would drop them is noted in the ledger.

    Attributes:
        training_only: whether the user's own validation and test rows are no business of the step.
        private: whether what stood in a row before its repair must not be shown.
        warns: whether rows are only noted that would otherwise be dropped; a step sets it from its options.
        before: the steps that a row goes through before this one, in order.
    """

    Options: ClassVar[type[Options]]
    training_only: ClassVar[bool] = False
    private: ClassVar[bool] = False
    warns: bool = False
    before: Sequence[CleaningStep] = ()

    def __init__(self, options: Any) -> None:
        self.options = options

    def __getstate__(self) -> dict[str, Any]:
        """Without what can be computed again: an interrupted preparation keeps its steps on disk."""
        own = vars(self).items()
        return {name: value for name, value in own if not isinstance(getattr(type(self), name, None), cached_property)}

    def files(self) -> Sequence[RowSource]:
        """Files that the step reads: what they hold decides the result, so it is part of the preparation's digest.

        Raises:
            DataError: there is no such file.
        """
        return ()

    def repair(self, example: Example, row: Row) -> tuple[Example, str | None]:
        """One row as it is read: the example, better, and what was changed in it (None = nothing).

        Args:
            example: what the format, and the steps before, made of the row.
            row: as it stands in the user's file.

        Raises:
            DroppedRow: the row is not worth keeping.
        """
        return example, None

    def judge(self, rows: RowSet) -> Mapping[int, str]:
        """All rows, after every `repair`: row id -> why it is dropped. Rows of other splits are judged on their own."""
        return {}

    def secrets(self, row: Row) -> Sequence[str]:
        """What stands in a row and must not be shown as an example by any step."""
        return ()

    def notes(self) -> Sequence[str]:
        """What to say aloud when all rows are seen."""
        return ()

    def counts(self) -> Mapping[str, int]:
        """What the step counted, by what it is, for the report."""
        return {}


class TextRepair(CleaningStep, ABC):
    """A step that changes texts one by one.

    Attributes:
        calls: whether arguments of called functions are changed too. Where spaces or markup go they are not: they may
            be code, or a page.
    """

    calls: ClassVar[bool] = True

    @abstractmethod
    def changes(self) -> Sequence[tuple[str, Change]]:
        """(What the ledger says, how a text is changed), in order."""

    def repair(self, example: Example, row: Row) -> tuple[Example, str | None]:
        """Changes every text.

        Raises:
            DroppedRow: nothing is left of a text.
        """
        done: list[str] = []
        for what, change in self._changes:
            before, example = example, map_texts(example, change, calls=self.calls)
            if example != before:
                done.append(what)
                if any(old.strip() and not new.strip() for old, new in zip(texts(before), texts(example), strict=True)):
                    raise DroppedRow(f"{self.options.name}: nothing is left of a text ({what})")
        return example, "; ".join(done) or None

    def changed(self, text: str) -> str:
        """What becomes of a text, be it nothing."""
        for _, change in self._changes:
            text = change(text)
        return text

    @cached_property
    def _changes(self) -> Sequence[tuple[str, Change]]:
        return tuple(self.changes())
