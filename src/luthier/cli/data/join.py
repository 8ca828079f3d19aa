"""`luthier data join`: news and the prices that were known when they were told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luthier.cli.data._market import By, Close, Prices, Time, show_examples, show_unused
from luthier.cli.output import Force, Json, emit, refuse_to_replace, table

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.data.market.joining import Joined


def command(
    news: Annotated[str, typer.Argument(metavar="NEWS", help="Rows to join to: a file or a folder.")],
    prices: Prices,
    by: By,
    time: Time,
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="Where to write.")] = Path("joined.jsonl"),
    tolerance: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How old a price may be, such as 5d; default: any age.")
    ] = None,
    at: Annotated[
        bool,
        typer.Option("--at", help="A price of the very moment of the news counts as known; else it must be earlier."),
    ] = False,
    close: Close = None,
    zone: Annotated[
        str,
        typer.Option(metavar="ZONE", help="Time zone of the close and of times without one, such as America/New_York."),
    ] = "UTC",
    take: Annotated[
        str | None, typer.Option(metavar="COLUMN,COLUMN", help="Columns of the prices to take; default: all.")
    ] = None,
    move: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Build a label from this price: whether it goes up or down afterwards."),
    ] = None,
    horizon: Annotated[
        str,
        typer.Option(metavar="N|DURATION", help="Until when: so many prices later, or the first price after so long."),
    ] = "1",
    flat: Annotated[
        float, typer.Option(min=0, help="Moves smaller than this (0.005 is half a percent) are flat.")
    ] = 0.0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Join news to the last price before each: no look-ahead, and what was refused or left out is named.

    A row gets told_at, for data.split.by, price_COLUMN and price_time, for data.split.known_at; with --move also label,
    label_change and, for data.split.label_time, label_time.
    """
    from luthier import pipeline
    from luthier.cli.progress import progress_bar

    plan = pipeline.plan_join(
        by, time, tolerance=tolerance, at=at, close=close, zone=zone, take=take, move=move, horizon=horizon, flat=flat
    )
    refuse_to_replace(output, force)
    with progress_bar(enabled=not as_json) as progress:
        made = pipeline.join(news, prices, output, plan, progress=progress)
    emit(made.to_dict(), lambda console: show(made, console), as_json=as_json)


def show(made: Joined, console: Console) -> None:
    """How many rows have a price, why the others have none, and what was refused."""
    from rich.text import Text

    counts = table("", ">rows", title=f"{made.news:,} rows of news, {made.prices:,} prices")
    counts.add_row("with a price", f"{made.joined:,}")
    for kind, rows in made.left_out.most_common():
        counts.add_row(Text(f"left out: {kind}"), f"{rows:,}")
    for label, rows in made.labels.most_common():
        counts.add_row(Text(f"label {label}"), f"{rows:,}")
    console.print(counts)
    title = "refused: a nearer price, but from the future of the news"
    show_examples(console, title, made.refused_future, made.first_refused)
    show_unused(console, made)
    console.print(f"joined     {made.output}\nleft out   {made.left_out_file}", soft_wrap=True)
