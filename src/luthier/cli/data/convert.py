"""`luthier data convert`: rows in another format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli.output import Force, Json, emit, refuse_to_replace, table

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.data.exchange import Exchange, Tally

SHOWN = 3
"""Places of missing rows that are shown."""

SOURCE = "A file, folder or archive, or a source as in a configuration: '{path: a.csv, columns: {text: headline}}'."


def command(
    source: Annotated[str, typer.Argument(metavar="IN", help=SOURCE)],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The new file: .jsonl, or a table, .csv or .parquet.")],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="alpaca, sharegpt, messages, labelled, text, ...")],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write rows in another format; what it has no room for is refused, with the reason, and counted."""
    from luthier import pipeline
    from luthier.cli.progress import progress_bar

    refuse_to_replace(output, force)
    with progress_bar(enabled=not as_json) as progress:
        made = pipeline.convert(source, to, output, progress=progress)
    emit(document(made), lambda console: show(made, console), as_json=as_json)


def document(made: Exchange) -> dict[str, Any]:
    """What was written, for machines."""
    return {
        "output": made.output,
        "format": made.format,
        "written": made.written,
        "sources": [_tally(tally) for tally in made.tallies],
        "notes": made.notes,
    }


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "path": tally.path,
        "format": tally.format,
        "read": tally.read,
        "written": tally.written,
        "unreadable": dict(tally.unreadable.most_common()),
        "refused": dict(tally.refused.most_common()),
        "first": tally.first,
        "repeated": tally.repeated,
        "shared": dict(tally.shared),
        "left_out": list(tally.left_out),
    }


def show(made: Exchange, console: Console) -> None:
    """The counts, and why rows are missing."""
    for note in made.notes:
        console.print(note, style="dim", soft_wrap=True)
    rows = table("source", "format", ">rows", ">written", ">unreadable", ">refused")
    for tally in made.tallies:
        lost = (sum(tally.unreadable.values()), sum(tally.refused.values()))
        rows.add_row(tally.path, tally.format or "-", *(f"{n:,}" for n in (tally.read, tally.written, *lost)))
    console.print(rows)
    show_lost(made, console)
    console.print(f"wrote {made.written:,} rows to {made.output}, format {made.format}", style="bold", soft_wrap=True)


def show_lost(made: Exchange, console: Console) -> None:
    """What is not in the new file: columns; rows, the most frequent reason first, and where the first of them stand."""
    for tally in made.tallies:
        if tally.left_out:
            console.print(
                f"{tally.path}: columns left out: {', '.join(tally.left_out)}", style="yellow", soft_wrap=True
            )
        for fate, counter in (("unreadable", tally.unreadable), ("refused", tally.refused)):
            for reason, count in counter.most_common():
                console.print(f"{tally.path}: {count:,} {fate}: {reason}", style="yellow", soft_wrap=True)
        for line in tally.first[:SHOWN]:
            console.print(f"  {line}", style="dim", soft_wrap=True)
