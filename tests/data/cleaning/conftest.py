"""What the tests of cleaning steps share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from luthier import registry
from luthier.data.cleaning import CleaningStep, RowSet
from luthier.data.examples import Example, Labelled, Row
from luthier.data.similarity import Signer


def _step(name: str, **options: Any) -> CleaningStep:
    kind = registry.load("cleaning", name)
    made: CleaningStep = kind(kind.Options(name=name, **options))
    return made


@pytest.fixture
def step() -> Callable[..., CleaningStep]:
    """`step("rules", rules=[...])` is a step with these options."""
    return _step


@pytest.fixture
def repaired() -> Callable[..., tuple[str, str | None]]:
    """`repaired("whitespace", "a  b")` is the text and what was changed in it."""

    def repair(name: str, text: str, **options: Any) -> tuple[str, str | None]:
        example, change = _step(name, **options).repair(Labelled(text, "x"), Row({}, "rows.jsonl", 1))
        assert isinstance(example, Labelled)
        return example.text, change

    return repair


@pytest.fixture
def row_set() -> Callable[..., RowSet]:
    """`row_set(examples)` is all of them, as a step judges them."""

    def rows_of(examples: Sequence[Example]) -> RowSet:
        signer = Signer()
        signer.add([example.comparable for example in examples])
        classes = list(dict.fromkeys(example.classes for example in examples if example.classes))
        codes = [classes.index(example.classes) if example.classes else -1 for example in examples]

        def stream() -> Iterator[tuple[int, Example]]:
            return iter(enumerate(examples))

        return RowSet(
            np.arange(len(examples)),
            signer.finish(),
            np.array(codes, np.int32),
            lambda row: examples[row].comparable,
            classes,
            stream,
        )

    return rows_of
