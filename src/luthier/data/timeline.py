"""What a split by time leaves out: rows outside of the window, and rows too near to a later split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from luthier.config import SplitConfig
from luthier.config.times import seconds, timestamp
from luthier.data.splits import SPLITS, TEST, VALIDATION

Times = NDArray[np.float64]


def outside(times: Times, config: SplitConfig) -> dict[int, str]:
    """Rows before `train_from` or not before `until`: position -> why they are left out."""
    found: dict[int, str] = {}
    if config.train_from is not None:
        early = np.flatnonzero(times < timestamp(config.train_from))
        found |= dict.fromkeys(early.tolist(), f"outside of the window: before {config.train_from}")
    if config.until is not None:
        late = np.flatnonzero(times >= timestamp(config.until))
        found |= dict.fromkeys(late.tolist(), f"outside of the window: not before {config.until}")
    return found


def embargoed(times: Times, known: Times, codes: NDArray[np.int8], embargo: str | int | None) -> dict[int, str]:
    """Rows of an earlier split that know too much of a later one: position -> why they are dropped.

    A label that is read off the future, such as the next day's move, overlaps with the rows after it: a row whose label
    became known only after a later split began is purged, and the embargo keeps free what lies before that
    (López de Prado, "Advances in Financial Machine Learning" (2018), chapter 7).

    Args:
        times: of every row.
        known: when the label of every row became known; NaN for those that do not say.
        codes: the split of every row.
        embargo: a duration before the later split's first row, or a number of rows; None = labels alone count.
    """
    found: dict[int, str] = {}
    last = np.fmax(times, known)
    for later in (VALIDATION, TEST):
        earlier = codes < later
        if not (codes == later).any() or not earlier.any():
            continue
        begin = times[codes == later].min()
        _add(found, earlier & (last >= begin), f"embargo: its label became known after the {SPLITS[later]} split began")
        if isinstance(embargo, str):
            near = earlier & (begin - last < seconds(embargo))
            _add(found, near, f"embargo: less than {embargo} before the {SPLITS[later]} split")
        elif embargo is not None:
            nearest = np.sort(times[earlier])[-min(embargo, int(earlier.sum()))]
            near = earlier & (times >= nearest)
            _add(found, near, f"embargo: among the last {embargo} rows before the {SPLITS[later]} split")
    return found


def _add(found: dict[int, str], rows: NDArray[np.bool_], reason: str) -> None:
    for row in np.flatnonzero(rows).tolist():
        found.setdefault(row, reason)
