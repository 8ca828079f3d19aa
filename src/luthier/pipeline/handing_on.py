"""What a run leaves for others: reports, trackers, artefacts; and what other tools left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.config.schema import json_schema
from luthier.languages import Language
from luthier.pipeline.opening import open_run
from luthier.runs import Run
from luthier.tracking import make_tracker

if TYPE_CHECKING:
    from luthier.export import Exported
    from luthier.importing import Imported


def report(run: Run | str | Path, language: Language | None = None) -> Path:
    """Writes report.html from what stands in the run's folder, and returns its path.

    Args:
        run: the run.
        language: what it is written in; None = what the run's configuration says.
    """
    from luthier.reporting.report import write_report

    return write_report(open_run(run), language)


def track(run: Run | str | Path, to: str) -> str:
    """Tells a tracker a run afterwards, as it would have been told while it trained.

    Args:
        run: the run.
        to: the tracker's name, with the options that the run's configuration gives it; or its name and other options
            as YAML, such as {name: wandb, mode: offline}.

    Returns:
        Where the record is: a folder or an address.

    Raises:
        ConfigError: there is no such tracker, or its library is not installed.
        LuthierError: the tracker failed.
    """
    from luthier.tracking.replaying import options_for, replay

    opened = open_run(run)
    return replay(make_tracker(options_for(opened.config, to)), opened)


def export(
    run: Run | str | Path, target: str, output: str | Path | None = None, *, dtype: str | None = None
) -> Exported:
    """Writes an artefact and proves that it answers like the adapter.

    Raises:
        ArtefactRefused: it does not.
    """
    from luthier.export import export_run

    return export_run(open_run(run), target, Path(output) if output else None, dtype)


def import_config(path: str | Path) -> Imported:
    """A configuration of another tool in Luthier's own keys, and what became of each of its settings.

    Raises:
        ConfigError: no tool writes such a file, or it lacks what a run needs.
    """
    from luthier.importing import import_file

    return import_file(Path(path))


def schema() -> dict[str, Any]:
    """The JSON Schema of a configuration, for editors."""
    return json_schema()
