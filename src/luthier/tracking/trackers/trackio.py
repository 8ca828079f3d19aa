"""Trackio: a local database and dashboard with the interface of W&B."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.tracking import About, Rows, TrackerOptions


class TrackioOptions(TrackerOptions):
    """A run of Trackio, which `trackio show` displays; where it is kept, TRACKIO_DIR says, or TRACKIO_SPACE_ID."""

    name: Literal["trackio"] = Field("trackio", description="The tracker's name.")
    project: str = Field("luthier", description="The project.")


class Trackio:
    """A run with the name of Luthier's run, so that a resumed one goes on in the same place."""

    Options = TrackioOptions
    package: ClassVar[str] = "trackio"
    repeats: ClassVar[str] = "kept beside the first ones: two points of the same step and value"

    def __init__(self, options: TrackioOptions) -> None:
        self.options = options
        self._run: Any = None

    def open(self, about: About, after: int) -> str:
        """See `luthier.tracking.Tracker`."""
        import trackio

        with redirect_stdout(io.StringIO()):  # it greets where results of commands belong
            self._run = trackio.init(
                self.options.project,
                about.id,
                group=about.name,
                config=dict(about.settings),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        return f"project {self.options.project}, run {about.id}: trackio show --project {self.options.project}"

    def curves(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Metrics."""
        self._run.log(dict(values), step=step)

    def table(self, name: str, rows: Rows, step: int, time: float) -> None:
        """A `trackio.Table`."""
        import trackio

        self._run.log({name: trackio.Table(data=[dict(row) for row in rows])}, step=step)

    def results(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Metrics too: there is no summary."""
        self._run.log(dict(values), step=step)

    def close(self, state: str) -> None:
        """Waits until everything is stored."""
        import trackio

        with redirect_stdout(io.StringIO()):
            trackio.finish()
