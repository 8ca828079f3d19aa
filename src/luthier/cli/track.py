"""`luthier track`: shows a run in a tracker afterwards."""

from __future__ import annotations

from typing import Annotated

import typer

from luthier.cli.output import Json, RunFolder, emit


def command(
    run: RunFolder,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="TRACKER",
            help="The tracker's name, such as tensorboard; or with options: '{name: wandb, mode: offline}'.",
        ),
    ],
    as_json: Json = False,
) -> None:
    """Show a run in a tracker afterwards: its curves, samples and scores."""
    from luthier import pipeline

    where = pipeline.track(run, to)
    emit({"where": where}, lambda console: console.print(f"see {where}", soft_wrap=True), as_json=as_json)
