"""`luthier data merge`: several files in one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luthier.cli.data.convert import SOURCE, document, show_lost
from luthier.cli.output import Force, Json, emit, refuse_to_replace, table
from luthier.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.data.exchange import Exchange


def command(
    paths: Annotated[list[str], typer.Argument(metavar="A B ... OUT", help=f"{SOURCE} The last one is the new file.")],
    to: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="The format of the new file; default: the one that holds all.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Merge rows of different formats into one file, each with its source; duplicates between them are counted."""
    from luthier import pipeline
    from luthier.cli.progress import progress_bar

    *sources, last = paths
    if not sources:
        raise ConfigError("nothing to merge", expected="two or more sources, then the new file")
    output = Path(last)
    refuse_to_replace(output, force)
    with progress_bar(enabled=not as_json) as progress:
        made = pipeline.merge(sources, output, to=to, progress=progress)
    emit(document(made), lambda console: show(made, console), as_json=as_json)


def show(made: Exchange, console: Console) -> None:
    """A line a source, with the duplicates that a preparation would drop."""
    for note in made.notes:
        console.print(note, style="dim", soft_wrap=True)
    columns = (">rows", ">written", ">unreadable", ">refused", ">repeated", ">in an earlier one")
    rows = table("source", "format", *columns)
    total = [0] * len(columns)
    for tally in made.tallies:
        lost = (sum(tally.unreadable.values()), sum(tally.refused.values()))
        counts = (tally.read, tally.written, *lost, tally.repeated, sum(tally.shared.values()))
        total = [one + other for one, other in zip(total, counts, strict=True)]
        rows.add_row(tally.path, tally.format or "-", *(f"{count:,}" for count in counts))
    rows.add_row("all", "", *(f"{count:,}" for count in total), style="bold")
    console.print(rows)
    show_lost(made, console)
    console.print(f"wrote {made.written:,} rows to {made.output}, format {made.format}", style="bold", soft_wrap=True)
