"""Windows of time that follow each other, each a run of its own: trained on its past, tested on its future."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.config import RunConfig, parse_config
from luthier.config.times import seconds
from luthier.config.writing import to_yaml
from luthier.data.intake import iterate_examples
from luthier.data.times import written
from luthier.errors import ConfigError, DataError
from luthier.progress import Report

_DAY = 86_400
_TELL = 1000


@dataclass(frozen=True)
class Window:
    """One window.

    Attributes:
        number: from 1, in order of time.
        train_from: its first moment in ISO 8601; None = everything before the test.
        test_from: first moment of its test.
        until: the moment behind its test.
        train_rows: rows before the test, validation among them.
        test_rows: rows of the test.
    """

    number: int
    train_from: str | None
    test_from: str
    until: str
    train_rows: int
    test_rows: int

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def windows(config: RunConfig, progress: Report | None = None) -> list[Window]:
    """The windows of a configuration, laid out backwards from its latest row; whole days begin at midnight (UTC).

    Args:
        config: the configuration.
        progress: told how many rows' times were read.

    Raises:
        ConfigError: the configuration has none.
        DataError: a window has no row to train on, or none to test.
    """
    wanted = config.data.split.windows
    if wanted is None:
        raise ConfigError(
            "the configuration has no windows",
            where="data.split.windows",
            expected="such as {by: time:date, windows: {count: 3, train: 180d, test: 60d}} in data.split",
        )
    times = _times(config, progress)
    test, step = seconds(wanted.test), seconds(wanted.step or wanted.test)
    train = seconds(wanted.train) if wanted.train else np.inf
    unit = _DAY if all(length % _DAY == 0 for length in (test, step, train) if length < np.inf) else 1
    end = (times.max() // unit + 1) * unit
    found = []
    for number in range(1, wanted.count + 1):
        until = end - (wanted.count - number) * step
        begin = until - test
        first = begin - train
        found.append(
            Window(
                number,
                written(first) if wanted.train else None,
                written(begin),
                written(until),
                int(((times >= first) & (times < begin)).sum()),
                int(((times >= begin) & (times < until)).sum()),
            )
        )
    _check_rows(found, times)
    return found


def _check_rows(found: Sequence[Window], times: NDArray[np.float64]) -> None:
    for window in found:
        if not window.train_rows or not window.test_rows:
            what = "before its test" if not window.train_rows else "in its test"
            raise DataError(
                f"window {window.number} of {len(found)} has no row {what}, {window.test_from} to {window.until}",
                where="data.split.windows",
                expected=f"windows within {written(times.min())} to {written(times.max())}",
                hint="fewer or shorter windows",
            )


def _times(config: RunConfig, progress: Report | None) -> NDArray[np.float64]:
    """The times of all training rows that can be read."""
    times = array("d")
    for row in iterate_examples(config):
        if row.role == "train" and isinstance(row.key, float):
            times.append(row.key)
        if progress and row.row_id % _TELL == 0:
            progress("reading times", row.row_id, None)
    if not times:
        raise DataError("no row has a time that can be read", where=config.data.split.by)
    return np.array(times)


def window_config(config: RunConfig, window: Window) -> RunConfig:
    """The configuration of a window's run: the same but for its dates and its name."""
    split = config.data.split.model_dump(mode="json") | {
        "windows": None,
        "train_from": window.train_from,
        "test_from": window.test_from,
        "until": window.until,
    }
    name = f"{config.name}-{window.number}-{window.test_from[:10]}"
    return parse_config(to_yaml(config), [f"data.split={json.dumps(split)}", f"name={json.dumps(name)}"])
