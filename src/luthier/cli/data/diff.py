"""`luthier data diff`: two preparations, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luthier.cli.output import Json, emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.data.differences import Differences

SHOWN = 20
"""Kinds of changes that are listed."""


def command(
    first: Annotated[
        Path, typer.Argument(metavar="A", help="A folder of `luthier data prepare`, a run, or a configuration.")
    ],
    second: Annotated[Path, typer.Argument(metavar="B", help="Likewise.")],
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write every change, a line of JSON each.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare two preparations: which rows changed fate, split or text. A row is known by its file and line."""
    from luthier import pipeline
    from luthier.cli.progress import progress_bar

    with progress_bar(enabled=not as_json) as progress:
        found = pipeline.diff(first, second, everything=output, progress=progress)
    document = found.to_dict() | ({"output": output} if output else {})
    emit(document, lambda console: show(found, console, output), as_json=as_json)


def show(found: Differences, console: Console, output: Path | None = None) -> None:
    """Counts, kinds of changes, and the first rows of each."""
    from rich.text import Text

    rows = found.rows
    console.print(
        f"{rows['both']:,} rows in both, of which {found.same:,} are the same; "
        f"{rows['only in A']:,} only in A, {rows['only in B']:,} only in B"
    )
    if not rows["both"] and found.counts:
        console.print("no row is in both: they were made from other files", style="yellow")
    if not found.counts:
        return
    kinds = table("change", "in A", "in B", ">rows")
    for (kind, before, after), count in found.detail.most_common(SHOWN):
        kinds.add_row(kind, Text(before), Text(after), f"{count:,}")
    if len(found.detail) > SHOWN:
        kinds.caption = f"and {len(found.detail) - SHOWN} more kinds"
    console.print(kinds)
    examples = table("change", "row", "in A", "in B")
    for kind, changes in found.examples.items():
        for change in changes:
            examples.add_row(kind, Text(f"{change.file}:{change.line}"), Text(change.before), Text(change.after))
    console.print(examples)
    console.print(f"every change   {output}" if output else "--output FILE writes every change", style="dim")
