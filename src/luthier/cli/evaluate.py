"""`luthier evaluate`: scores a finished run again, beside its base and the baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli.output import Json, RunFolder, emit

if TYPE_CHECKING:
    from rich.console import Console


def command(
    run: RunFolder,
    split: Annotated[str, typer.Option(help="test, validation or train.")] = "test",
    as_json: Json = False,
) -> None:
    """Score a run beside its base and the baselines."""
    from luthier import pipeline
    from luthier.cli.progress import progress_bar
    from luthier.runs import Run

    opened = Run.open(run)
    with progress_bar(enabled=not as_json) as progress:
        metrics = pipeline.evaluate(opened, split=split, progress=progress)
        pipeline.report(opened)
    emit(metrics, lambda console: show_scores(opened, console), as_json=as_json)


def show_scores(run: Any, console: Console) -> None:
    """The tables of scores, and what they mean in a sentence."""
    from luthier.evaluation.verdict import verdict
    from luthier.reporting.tables import scores_tables
    from luthier.runs.files import read_json

    metrics = read_json(run.metrics_file)
    for table in scores_tables(metrics):
        console.print(table)
    console.print(verdict(metrics), style="bold")
