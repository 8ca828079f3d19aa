"""`luthier data forecast`: prompts of a stock's last weeks, answered by what it did in the next one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luthier.cli.data._market import By, Close, Prices, Time, show_unused
from luthier.cli.output import Force, Json, emit, refuse_to_replace, table

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.data.market.forecasting import Forecasts


def command(
    news: Annotated[str, typer.Argument(metavar="NEWS", help="What was told of each stock: a file or a folder.")],
    prices: Prices,
    by: By,
    time: Time,
    price: Annotated[str, typer.Option(metavar="COLUMN", help="The price whose moves are told and forecast.")],
    text: Annotated[str, typer.Option(metavar="COLUMN", help="What the prompt shows of the news.")] = "text",
    companies: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A row for each stock: its symbol, and what the prompt begins with."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="Where to write.")] = Path("forecasts.jsonl"),
    weeks: Annotated[int, typer.Option(min=1, metavar="N", help="Weeks that a prompt tells of.")] = 3,
    most: Annotated[
        int, typer.Option("--news", min=1, metavar="N", help="News shown of each week, spread over it.")
    ] = 3,
    close: Close = None,
    zone: Annotated[
        str,
        typer.Option(
            metavar="ZONE", help="Where weeks begin, and where times without a zone are, such as America/New_York."
        ),
    ] = "UTC",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make rows for a forecaster: a stock's last weeks of moves and news, and in what range its next week's move lay.

    Prompts tell nothing from after the Monday they are asked on. Rows are those of FinGPT-Forecaster, with asked_at,
    known_time and label_time for data.split; the recipe finance_forecaster trains on them.
    """
    from luthier import pipeline
    from luthier.cli.progress import progress_bar

    plan = pipeline.plan_forecasts(by, time, price, text=text, weeks=weeks, most=most, close=close, zone=zone)
    refuse_to_replace(output, force)
    with progress_bar(enabled=not as_json) as progress:
        made = pipeline.make_forecasts(news, prices, output, plan, companies=companies, progress=progress)
    emit(made.to_dict(), lambda console: show(made, console), as_json=as_json)


def show(made: Forecasts, console: Console) -> None:
    """How many rows there are, what they forecast, and why news are in none."""
    from rich.text import Text

    counts = table("", ">rows", title=f"{made.rows:,} forecasts of {made.news:,} rows of news, {made.prices:,} prices")
    for label, rows in made.labels.most_common():
        counts.add_row(label, f"{rows:,}")
    counts.add_section()
    counts.add_row("news shown in the forecast behind their week", f"{made.shown:,}")
    for kind, rows in made.left_out.most_common():
        counts.add_row(Text(f"left out: {kind}"), f"{rows:,}")
    console.print(counts)
    show_unused(console, made)
    console.print(f"forecasts  {made.output}\nleft out   {made.left_out_file}", soft_wrap=True)
