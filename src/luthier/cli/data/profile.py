"""`luthier data profile`: what can be seen in somebody's own files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luthier.cli.data.convert import SOURCE
from luthier.cli.output import Json, emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.data.profile import Profile

SHOWN_LABELS = 12


def command(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help=SOURCE)],
    base: Annotated[
        str | None, typer.Option("--base", help="Count tokens with this base model's tokenizer; no weight is loaded.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page.")] = None,
    as_json: Json = False,
) -> None:
    """Look at rows: shape, encodings, lengths, labels, scripts, duplicates, damage, personal data (no values)."""
    from luthier import pipeline
    from luthier.cli.progress import progress_bar
    from luthier.runs.files import write_text

    with progress_bar(enabled=not as_json) as progress:
        found = pipeline.profile(files, base=base, progress=progress)
    if html is not None:
        from luthier.reporting.profile_page import page

        write_text(html, page(found))
    emit([asdict(each) for each in found], lambda console: show(found, console, html), as_json=as_json)


def show(found: list[Profile], console: Console, html: Path | None = None) -> None:
    """The facts of each file, its labels, what stands in it, and what is worth a look."""
    from rich.text import Text

    from luthier.reporting.profile_page import facts

    for each in found:
        about = table("", "", title=each.path)
        about.show_header = False
        for name, fact in facts(each):
            about.add_row(name, Text(fact))
        console.print(about)
        if each.labels:
            labels = table("label", ">rows", ">share")
            total = sum(each.labels.values())
            for label, rows in list(each.labels.items())[:SHOWN_LABELS]:
                labels.add_row(Text(label), f"{rows:,}", f"{rows / total:.1%}")
            if len(each.labels) > SHOWN_LABELS:
                labels.caption = f"and {len(each.labels) - SHOWN_LABELS:,} more"
            console.print(labels)
        columns = table("column", "kind", "values")
        for column in each.columns:
            columns.add_row(Text(column.name), column.kind, Text(" | ".join(column.examples)))
        console.print(columns)
        for remark in each.remarks:
            console.print(f"note: {remark}", style="yellow", soft_wrap=True)
    if html is not None:
        console.print(f"\npage   {html}   (open it in a browser)", soft_wrap=True)
