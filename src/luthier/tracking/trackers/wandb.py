"""Weights & Biases, online or offline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.errors import ConfigError
from luthier.tracking import About, Rows, TrackerOptions


class WandbOptions(TrackerOptions):
    """A run of Weights & Biases; its key is read from WANDB_API_KEY, or from what `wandb login` left."""

    name: Literal["wandb"] = Field("wandb", description="The tracker's name.")
    project: str = Field("luthier", description="The project.")
    entity: str | None = Field(None, description="User or team; null = the key's default.")
    mode: Literal["online", "offline"] = Field(
        "online", description="online, or offline: into RUN/wandb, for `wandb sync` whenever you like."
    )


class Wandb:
    """A run with the id of Luthier's run, so that a resumed one goes on in the same place."""

    Options = WandbOptions
    package: ClassVar[str] = "wandb"
    repeats: ClassVar[str] = "left out: W&B keeps the points that it has"

    def __init__(self, options: WandbOptions) -> None:
        self.options = options
        self._run: Any = None

    def open(self, about: About, after: int) -> str:
        """See `luthier.tracking.Tracker`.

        Raises:
            ConfigError: no key is known.
        """
        import wandb

        online = self.options.mode == "online"
        if online and not wandb.login(prompt=False, verify=False):  # it must not ask in the middle of a training
            raise ConfigError("W&B knows no key", hint="set WANDB_API_KEY, or tracking: [{name: wandb, mode: offline}]")
        self._run = wandb.init(
            project=self.options.project,
            entity=self.options.entity,
            id=about.id,
            name=about.id,
            group=about.name,
            config=dict(about.settings),
            dir=str(about.folder),
            mode=self.options.mode,
            resume="allow" if online else None,
            settings=wandb.Settings(silent=True, console="off"),
        )
        return str(self._run.url if online else about.folder / "wandb")

    def curves(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Points of the history."""
        self._run.log(dict(values), step=step)

    def table(self, name: str, rows: Rows, step: int, time: float) -> None:
        """A `wandb.Table`."""
        import wandb

        columns = list(rows[0]) if rows else []
        data = [[row[column] for column in columns] for row in rows]
        self._run.log({name: wandb.Table(columns=columns, data=data, allow_mixed_types=True)}, step=step)

    def results(self, values: Mapping[str, float], step: int, time: float) -> None:
        """The run's summary."""
        self._run.summary.update(dict(values))

    def close(self, state: str) -> None:
        """Ends the run; one that did not finish is shown as failed."""
        self._run.finish(exit_code=0 if state == "finished" else 1)
