"""`luthier data join`: news and the prices that were known when they were told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luthier.cli.output import Json, emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.data.joining import Joined


def command(
    news: Annotated[str, typer.Argument(metavar="NEWS", help="Rows to join to: a file or a folder.")],
    prices: Annotated[str, typer.Argument(metavar="PRICES", help="Rows that are looked up: a file or a folder.")],
    by: Annotated[str, typer.Option("--by", metavar="COLUMN", help="The symbol; NEWS=PRICES when the columns differ.")],
    time: Annotated[
        str, typer.Option("--time", metavar="COLUMN", help="The time; NEWS=PRICES when the columns differ.")
    ],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="Where to write.")] = Path("joined.jsonl"),
    tolerance: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How old a price may be, such as 5d; default: any age.")
    ] = None,
    at: Annotated[
        bool,
        typer.Option("--at", help="A price of the very moment of the news counts as known; else it must be earlier."),
    ] = False,
    close: Annotated[
        str | None,
        typer.Option(
            metavar="HH:MM", help="When a price dated by its day is known: the market's close; default: the day's end."
        ),
    ] = None,
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
    as_json: Json = False,
) -> None:
    """Join news to the last price before each: no look-ahead, and what was refused or left out is named.

    A row gets price_COLUMN and price_time, for data.split.known_at; with --move also label, label_change and, for
    data.split.label_time, label_time.
    """
    from luthier import pipeline
    from luthier.cli.progress import progress_bar

    plan = pipeline.plan_join(
        by, time, tolerance=tolerance, at=at, close=close, zone=zone, take=take, move=move, horizon=horizon, flat=flat
    )
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
    for title, count, first in (
        ("refused prices", made.refused_prices, made.first_refused_prices),
        ("refused: a nearer price, but from the future of the news", made.refused_future, made.first_refused),
        ("left out", sum(made.left_out.values()), made.first_left_out),
    ):
        if count:
            console.print(f"{title}: {count:,}, such as", style="yellow")
            for line in first[:3]:
                console.print(f"  {line}", soft_wrap=True)
    console.print(f"joined     {made.output}\nleft out   {made.left_out_file}", soft_wrap=True)
