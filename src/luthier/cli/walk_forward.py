"""`luthier walk-forward`: one run for each window of time, and one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luthier.cli.output import Json, Overrides, emit, table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from luthier.reporting.walk_forward import Scores, WalkForward


def command(
    config: Annotated[Path, typer.Argument(help="A configuration with data.split.windows.")],
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Train on each window's past, test on its future, and score all windows together.

    Every window is a run in a folder of its own; the same command goes on where it was interrupted.
    """
    from luthier import pipeline
    from luthier.cli.progress import progress_bar

    with progress_bar(enabled=not as_json) as progress:
        found = pipeline.walk_forward(config, overrides or [], quiet=as_json, progress=progress)
    emit(found.to_dict(), lambda console: show(found, console), as_json=as_json)


def show(found: WalkForward, console: Console) -> None:
    """A line for each window, and one for all answers together."""
    from luthier.evaluation.formatting import BASELINES
    from luthier.reporting.tables import scores_table

    names = list(found.pooled.baselines)
    headings = ["window", ">trained on", ">test", f">{found.metric}", ">base", ">difference"]
    rows = table(*headings, *(f">{BASELINES.get(name, name)}" for name in names))
    for window, _, scores in found.windows:
        dates = f"{window.test_from[:10]} to {window.until[:10]}"
        rows.add_row(f"{window.number}: {dates}", f"{window.train_rows:,}", *_cells(scores, names))
    rows.add_row("all together", "", *_cells(found.pooled, names), style="bold")
    console.print(rows)
    console.print("Scores with 95 % intervals; all together: over the answers of all windows.", style="dim")
    console.print(scores_table(found.comparison, f"all together: {found.pooled.rows} rows, 95 % intervals"))
    for window, run, _ in found.windows:
        console.print(f"window {window.number}   {run}", soft_wrap=True)


def _cells(scores: Scores, names: list[str]) -> list[Text]:
    from rich.text import Text

    from luthier.evaluation.formatting import number, signed, span

    def cell(score: object, sign: bool = False) -> Text:
        if not isinstance(score, dict):
            return Text("")
        value = (signed if sign else number)(score["value"])
        return Text.assemble(value, "\n", (span(score, sign=sign), "dim"))

    baselines = [cell(scores.baselines.get(name)) for name in names]
    return [Text(f"{scores.rows:,}"), cell(scores.tuned), cell(scores.base), cell(scores.difference, True), *baselines]
