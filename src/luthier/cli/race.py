"""`luthier race`: the user's own run on Luthier and on the stock Trainer, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli.output import Json, Overrides, emit, table

if TYPE_CHECKING:
    from rich.console import Console


def command(
    config: Annotated[Path, typer.Argument(help="The run's YAML.")],
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, help="Training time of each contestant; loading comes on top.")
    ] = 60,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Race your own rows and model: Luthier against the stock transformers Trainer with peft. Nothing is kept."""
    from luthier import pipeline
    from luthier.cli.progress import progress_bar

    with progress_bar(enabled=not as_json) as progress:
        race = pipeline.race(config, overrides or [], seconds=seconds, progress=progress).to_dict()
    emit(race, lambda console: show(race, console), as_json=as_json)


ROWS = {
    "rows_per_second": ("rows/s", "{:,.2f}"),
    "tokens_per_second": ("tokens/s", "{:,.1f}"),
    "peak_memory_mb": ("peak memory, MB", "{:,.0f}"),
    "loading_seconds": ("loading, s", "{:,.1f}"),
    "steps": ("steps", "{:,}"),
    "seconds": ("training, s", "{:,.1f}"),
}
"""What is shown of each contestant."""


def show(race: Mapping[str, Any], console: Console) -> None:
    """The table, the losses at equal steps, and how it was done."""
    one, other = race["luthier"], race["trainer"]
    results = table(
        "",
        f">{one['name']}",
        f">{other['name']}",
        ">ratio",
        title=f"{race['name']}: {race['seconds']:g} s of training each",
    )
    for key, (what, form) in ROWS.items():
        ratio = f"{one[key] / other[key]:.2f}x" if key.endswith(("_per_second", "_mb")) and other[key] else ""
        results.add_row(what, form.format(one[key]), form.format(other[key]), ratio)
    console.print(results)
    if race["losses"]:
        losses = table(">step", f">{one['name']}", f">{other['name']}", title="loss at equal steps")
        for at in _spread(race["losses"]):
            losses.add_row(str(at["step"]), f"{at['luthier']:.4f}", f"{at['trainer']:.4f}")
        console.print(losses)
        console.print(f"largest difference over {len(race['losses'])} equal steps: {race['largest_difference']:.2g}")
    for contestant in (one, other):
        console.print(f"{contestant['name']}: {'; '.join(contestant['about'])}", style="dim", soft_wrap=True)
    for setting in race["settings"]:
        console.print(setting, style="dim", soft_wrap=True)


def _spread(losses: list[dict[str, float]], most: int = 6) -> list[dict[str, float]]:
    """At most so many, the first and the last among them."""
    places = {round(place * (len(losses) - 1) / (most - 1)) for place in range(most)}
    return [losses[place] for place in sorted(places)]
