from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from luthier.tasks import Prediction

LABELS = ["negative", "neutral", "positive"]


def answer(row_id: int, expected: str | None, raw: str, *, free: bool = False, loss: float | None = None) -> Prediction:
    parsed = raw if free or raw in LABELS else None
    return Prediction(row_id, f"text {row_id}", expected, raw, parsed, {}, loss, 0 if loss is None else 2)


@pytest.fixture
def labels() -> list[str]:
    return LABELS


@pytest.fixture
def answers() -> Callable[..., list[Prediction]]:
    """Makes random answers to rows that are the same for every call, right with a given chance, some invalid."""

    def make(rows: int, right: float, *, invalid: float = 0.1, seed: int = 0) -> list[Prediction]:
        expected = np.random.default_rng(7).choice(LABELS, rows, p=[0.15, 0.6, 0.25])
        generator = np.random.default_rng(seed)
        raws: Sequence[str] = np.where(generator.random(rows) < right, expected, generator.choice(LABELS, rows))
        raws = np.where(generator.random(rows) < invalid, "hmm", raws)
        return [
            answer(i, str(e), str(r), loss=float(generator.random()))
            for i, (e, r) in enumerate(zip(expected, raws, strict=True))
        ]

    return make
