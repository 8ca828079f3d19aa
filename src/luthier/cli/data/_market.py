"""What commands on news and prices share: options, and what they say of rows that are not used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.data.market.account import Account

Prices = Annotated[str, typer.Argument(metavar="PRICES", help="Prices by symbol and time: a file or a folder.")]
By = Annotated[str, typer.Option("--by", metavar="COLUMN", help="The symbol; NEWS=PRICES when the columns differ.")]
Time = Annotated[str, typer.Option("--time", metavar="COLUMN", help="The time; NEWS=PRICES when the columns differ.")]
Close = Annotated[
    str | None,
    typer.Option(
        metavar="HH:MM",
        help="When a price dated by its day, or by midnight, is known: the market's close; default: the day's end.",
    ),
]


def show_examples(console: Console, title: str, count: int, first: Sequence[str]) -> None:
    """How many rows were not used, and the first three."""
    if count:
        console.print(f"{title}: {count:,}, such as", style="yellow")
        for line in first[:3]:
            console.print(f"  {line}", soft_wrap=True)


def show_unused(console: Console, made: Account) -> None:
    """What was noticed, prices that were refused, news that were left out."""
    for note in made.notes:
        console.print(f"note: {note}", style="yellow", soft_wrap=True)
    show_examples(console, "refused prices", made.refused_prices, made.first_refused_prices)
    show_examples(console, "left out", sum(made.left_out.values()), made.first_left_out)
