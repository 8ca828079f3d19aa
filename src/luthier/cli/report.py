"""`luthier report`."""

from __future__ import annotations

from typing import Annotated

import typer

from luthier.cli.output import Json, RunFolder, emit
from luthier.languages import Language


def command(
    run: RunFolder,
    lang: Annotated[
        Language | None, typer.Option("--lang", help="What it is written in, if not as the run's configuration says.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a run's report.html again, from what is recorded in its folder."""
    from luthier import pipeline

    path = pipeline.report(run, lang)
    emit({"report": path}, lambda console: console.print(f"wrote {path}", soft_wrap=True), as_json=as_json)
