"""Trackers show a run elsewhere, and read nothing but its events and its folder.

`telling.py` turns events into a tracker's calls: `following.py` while a run trains, without holding it up, and
`replaying.py` afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from luthier import registry
from luthier.errors import ConfigError
from luthier.registry import Options

if TYPE_CHECKING:
    from luthier.runs import Run

Rows = Sequence[Mapping[str, Any]]
"""A table: rows that all have the same columns, of texts, numbers, booleans and None."""

Value = str | int | float | bool
"""A hyperparameter."""


class TrackerOptions(Options):
    """What every tracker has for options."""

    samples: bool = Field(
        True, description="Send the rows that are shown while training and the model's answers: texts of your data."
    )


@dataclass(frozen=True)
class About:
    """A run as trackers know it.

    Attributes:
        name: the configuration's; runs of one name belong together.
        id: the run's own: the name of its folder.
        folder: that folder.
        yaml: the configuration as resolved.
        settings: the same as values by dotted keys, such as training.learning_rate.
    """

    name: str
    id: str
    folder: Path
    yaml: str
    settings: Mapping[str, Value]

    @classmethod
    def of(cls, run: Run) -> About:
        """What trackers may know of a run."""
        config = run.config
        return cls(
            config.name,
            run.path.name,
            run.path,
            run.config_file.read_text(encoding="utf-8"),
            _by_dotted_keys(config.model_dump(mode="json")),
        )


class Tracker(Protocol):
    """Where a run is shown. Every file of `trackers/` has one class of this shape, built from its options.

    `open` comes first and `close` last, all from one thread, which may be another one than the training's. What is
    raised ends this tracking and becomes a warning of the run; the training goes on. A run that is resumed is opened
    again and tells the steps behind its last checkpoint once more: with the same values, since resuming is exact.

    Attributes:
        package: the module that has to be installed; an extra of Luthier has the tracker's name.
        repeats: what becomes of steps that are told once more.
    """

    Options: ClassVar[type[TrackerOptions]]
    package: ClassVar[str]
    repeats: ClassVar[str]

    def __init__(self, options: Any) -> None: ...

    @property
    def options(self) -> TrackerOptions:
        """As configured."""
        ...

    def open(self, about: About, after: int) -> str:
        """Begins the record of a run, or goes on with it.

        Args:
            about: the run.
            after: the last step that is not told again; 0 = everything is told.

        Returns:
            Where the record is, for people: a folder or an address.
        """
        ...

    def curves(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Points of curves, by names such as train/loss.

        Args:
            values: finite numbers.
            step: optimiser steps done.
            time: seconds since the epoch.
        """
        ...

    def table(self, name: str, rows: Rows, step: int, time: float) -> None:
        """Samples at a step, or a confusion matrix at the end."""
        ...

    def results(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Final scores, by names such as test/labels/tuned/accuracy."""
        ...

    def close(self, state: str) -> None:
        """The end: finished, failed or interrupted. Whatever was held back is written."""
        ...


def make_tracker(options: TrackerOptions) -> Tracker:
    """The tracker of a configuration.

    Raises:
        ConfigError: its library is not installed.
    """
    kind = registry.load("tracker", options.name)
    if find_spec(kind.package) is None:
        raise ConfigError(
            f"the tracker {options.name} needs {kind.package}, which is not installed",
            where="tracking",
            hint=f"pip install 'luthier[{options.name}]'",
        )
    made: Tracker = kind(options)
    return made


def _by_dotted_keys(values: Mapping[str, Any], parents: str = "") -> dict[str, Value]:
    """Mappings within mappings as one; lists become their JSON, and null its word."""
    found: dict[str, Value] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _by_dotted_keys(value, f"{parents}{key}.")
        else:
            found[f"{parents}{key}"] = value if isinstance(value, Value) else json.dumps(value, ensure_ascii=False)
    return found
