"""`luthier report`."""

from __future__ import annotations

from luthier.cli.output import Json, RunFolder, emit


def command(
    run: RunFolder,
    as_json: Json = False,
) -> None:
    """Write a run's report.html again, from what is recorded in its folder."""
    from luthier import pipeline

    path = pipeline.report(run)
    emit({"report": path}, lambda console: console.print(f"wrote {path}", soft_wrap=True), as_json=as_json)
