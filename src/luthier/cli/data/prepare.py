"""`luthier data prepare`: the rows as they would be trained on, in files, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli.output import Json, Overrides, emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.pipeline import Preparation


def command(
    config: Annotated[Path, typer.Argument(help="The run's YAML; `luthier new` writes one.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where to write; default: prepared/NAME.")
    ] = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Write cleaned rows by split and the ledger of every row; only the tokenizer is loaded.

    What was prepared is kept in the cache by its content: the second time, or in training, no work is done.
    """
    from luthier import pipeline
    from luthier.cli.progress import progress_bar

    with progress_bar(enabled=not as_json) as progress:
        made = pipeline.write_prepared(config, out, overrides or [], progress=progress)
    emit(result(made), lambda console: show(made, console), as_json=as_json)


def result(made: Preparation) -> dict[str, Any]:
    """What a machine gets to know."""
    return {
        "folder": made.folder,
        "rows": made.rows,
        "summary": made.prepared.summary.as_dict(),
        "labels": made.prepared.labels,
        "notes": made.prepared.notes,
        "places": made.places,
        "seconds": made.seconds,
        "peak_memory_mb": made.peak_memory_mb,
        "digest": made.prepared.digest,
    }


def show(made: Preparation, console: Console) -> None:
    """Rows by split, what was not kept and why, what was changed, and where to look."""
    from rich.text import Text

    from luthier.reporting.tables import ledger_tables

    summary = made.prepared.summary
    for each in ledger_tables(summary):
        console.print(each)
    told = [reason for _, reason, _ in summary.reasons] + [change for change, _ in summary.changes]
    if told:
        where = table("where to look", "first rows")
        for reason in dict.fromkeys(told):
            where.add_row(Text(reason), Text(", ".join(made.places.get(reason, []))))
        console.print(where)
    for note in made.prepared.notes:
        console.print(f"note: {note}", style="yellow", soft_wrap=True)
    console.print(f"{made.seconds:.1f} s, {made.peak_memory_mb:,.0f} MB at most", style="dim")
    for split, rows in made.rows.items():
        console.print(f"{split:<12}{made.folder / f'{split}.jsonl'}   ({rows:,} rows)", soft_wrap=True)
    console.print(f"{'ledger':<12}{made.folder / 'ledger.parquet'}   (every row and its fate)", soft_wrap=True)
