"""`luthier evaluate`: scores a finished run again, beside its base and the baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from luthier.cli.output import Json, RunFolder, emit, table
from luthier.errors import ConfigError
from luthier.languages import speaking, tell

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.evaluation.harness import Scores


def command(
    run: RunFolder,
    split: Annotated[
        Literal["test", "validation", "train"],
        typer.Option(help="The rows to ask about; without test rows, validation is taken."),
    ] = "test",
    lm_eval: Annotated[
        str | None,
        typer.Option(
            "--lm-eval",
            metavar="TASK,TASK",
            help="Tasks of lm-eval by name, or YAML files of tasks, instead of the run's own rows.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="ROWS", help="At most so many rows of an lm-eval task.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a run beside its base and the baselines."""
    from luthier import pipeline
    from luthier.cli.progress import progress_bar
    from luthier.runs import Run

    opened = Run.open(run)
    if lm_eval is not None:
        found = pipeline.harness(opened, [task.strip() for task in lm_eval.split(",")], limit=limit)
        emit(found, lambda console: show_harness(found, console), as_json=as_json)
        return
    if limit is not None:
        raise ConfigError("--limit belongs to --lm-eval: the run's own rows are all asked about")
    with progress_bar(enabled=not as_json) as progress:
        metrics = pipeline.evaluate(opened, split=split, progress=progress)
        pipeline.report(opened)
    with speaking(opened.config.language):
        emit(metrics, lambda console: show_scores(opened, console), as_json=as_json)


def show_harness(found: Scores, console: Console) -> None:
    """What lm-eval says of the base and the tuned model."""
    from luthier.evaluation.formatting import number

    scores = table("task", "metric", ">base", ">tuned")
    for task, metrics in found.items():
        for metric, line in metrics.items():
            cells = [
                number(line[model]) + (f" ± {number(line[error])}" if (error := f"{model}_stderr") in line else "")
                for model in ("base", "tuned")
            ]
            scores.add_row(task, metric.removesuffix(",none"), *cells)
    console.print(scores)


def show_scores(run: Any, console: Console) -> None:
    """The tables of scores, what they mean in a sentence, and how quickly answers come."""
    from luthier.evaluation.speed import describe_speed
    from luthier.evaluation.verdict import verdict
    from luthier.reporting.tables import scores_tables
    from luthier.runs.files import read_json

    metrics = read_json(run.metrics_file)
    for scores in scores_tables(metrics):
        console.print(scores)
    console.print(verdict(metrics), style="bold")
    if speed := describe_speed(run.record):
        console.print(tell("answers: {speed}", speed=speed), style="dim")
