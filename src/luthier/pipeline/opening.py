"""What every verb begins with: a configuration, or a run, however it is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luthier.config import RunConfig, load_config
from luthier.runs import Run

Config = str | Path | RunConfig


def read_config(config: Config, overrides: Sequence[str] = ()) -> RunConfig:
    """A configuration from a file, or as it is given."""
    return config if isinstance(config, RunConfig) else load_config(config, overrides)


def open_run(run: Run | str | Path) -> Run:
    """A run from its folder, or as it is given."""
    return run if isinstance(run, Run) else Run.open(run)
