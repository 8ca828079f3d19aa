"""TensorBoard: event files in the run's folder, by torch's writer; TensorFlow is not needed."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.tracking import About, Rows, TrackerOptions

FLUSH_SECONDS = 10


class TensorboardOptions(TrackerOptions):
    """Event files in the run's folder; `tensorboard --logdir runs` shows them."""

    name: Literal["tensorboard"] = Field("tensorboard", description="The tracker's name.")


class Tensorboard:
    """Writes RUN/tensorboard."""

    Options = TensorboardOptions
    package: ClassVar[str] = "tensorboard"
    repeats: ClassVar[str] = "replaced: TensorBoard is told to forget what comes after the step that a run goes back to"

    def __init__(self, options: TensorboardOptions) -> None:
        self.options = options
        self._writer: Any = None
        self._settings: dict[str, Any] = {}

    def open(self, about: About, after: int) -> str:
        """See `luthier.tracking.Tracker`."""
        from torch.utils.tensorboard import SummaryWriter

        folder = about.folder / "tensorboard"
        self._settings = dict(about.settings)
        forget = after + 1 if after else 0
        self._writer = SummaryWriter(str(folder), purge_step=forget, flush_secs=FLUSH_SECONDS)
        if not after:
            self._writer.add_text("configuration", f"```yaml\n{about.yaml}\n```", 0)
        return str(folder)

    def curves(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Scalars."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step, walltime=time)

    def table(self, name: str, rows: Rows, step: int, time: float) -> None:
        """A table in Markdown, which TensorBoard renders."""
        self._writer.add_text(name, _markdown(rows), step, walltime=time)

    def results(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Hyperparameters and final scores, for the page that compares runs; the scores are scalars too."""
        self._writer.add_hparams(self._settings, dict(values), run_name=".", global_step=step)

    def close(self, state: str) -> None:
        """Writes what is held back."""
        self._writer.close()


def _markdown(rows: Rows) -> str:
    columns = list(rows[0]) if rows else []
    lines = [columns, ["---"] * len(columns), *([_cell(row[column]) for column in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    """Any text as one cell that shows just this text."""
    return "<br>".join(html.escape(str(value)).replace("|", "&#124;").splitlines())
