"""`luthier compare`: finished runs side by side, or one configuration with several methods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli.output import Json, Lang, Overrides, emit, table
from luthier.errors import ConfigError
from luthier.languages import speaking, tell

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.reporting.comparison_table import Comparison


def command(
    targets: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Finished runs; with --methods one configuration.")
    ],
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            metavar="NAME,NAME{KEY: VALUE}",
            help="Train the configuration with each method in turn and compare them, such as "
            "'lora,lora{rank: 4},full{learning_rate: 3e-5}'. Methods that are trained already, on the same rows, are "
            "not trained again.",
        ),
    ] = None,
    latency: Annotated[
        int | None, typer.Option("--latency", min=1, metavar="ROWS", help="Ask so many rows now, unmerged and merged.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Write Markdown.")] = None,
    overrides: Overrides = None,
    lang: Lang = "en",
    as_json: Json = False,
) -> None:
    """Compare runs: quality, trained share, artefact size, time, memory, latency."""
    from luthier import pipeline
    from luthier.cli.progress import progress_bar
    from luthier.reporting import comparison_table
    from luthier.runs.files import write_text

    runs: list[Any] = list(targets)
    refused: list[str] = []
    if methods is not None:
        if len(targets) != 1:
            raise ConfigError("--methods takes one configuration", expected="luthier compare run.yaml --methods a,b")
        with progress_bar(enabled=not as_json) as progress:
            runs, refused = pipeline.train_methods(
                targets[0], methods, overrides or [], quiet=as_json, progress=progress
            )
    elif overrides:
        raise ConfigError("--set changes a configuration, and runs are finished", hint="--methods trains one")
    with speaking(lang):
        with progress_bar(enabled=not as_json) as progress:
            found = pipeline.compare(runs, refused=refused, latency=latency, progress=progress)
        for file, render in ((html, comparison_table.page), (markdown, comparison_table.markdown)):
            if file is not None:
                write_text(file, render(found))
        emit(found.to_dict(), lambda console: show(found, console), as_json=as_json)


def show(comparison: Comparison, console: Console) -> None:
    """The table, the claims and the notes."""
    from rich.text import Text

    from luthier.reporting.comparison_table import ANSWERS, LEGEND, cells, headings

    runs = table(*(">" * right + name for name, right in headings()))
    for run in comparison.runs:
        runs.add_row(*(Text.assemble(value, "\n", (below, "dim")) for value, below in cells(run)))
    console.print(runs)
    console.print(tell(LEGEND), style="dim", soft_wrap=True)
    if comparison.claims:
        said = table(tell("claim"), tell("measured"), tell("holds"), tell("runs"))
        for claim in comparison.claims:
            said.add_row(claim.statement, claim.measured, tell(ANSWERS[claim.holds]), claim.about)
        console.print(said)
    for note in comparison.notes:
        console.print(note, soft_wrap=True)
