"""`luthier plan`: what a run will do, measured here or estimated for another device, without training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli.output import Json, Overrides, emit, table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def command(
    config: Annotated[Path, typer.Argument(help="The run's YAML.")],
    device: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="DEVICE",
            help="Estimate for another device instead: rtx4090, a100-40, h100, l4, t4, m3-max, cpu-16, ...",
        ),
    ] = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Say what a run will do: rows, memory, time, warnings. Nothing is trained."""
    from luthier import pipeline
    from luthier.cli.progress import progress_bar

    if device is not None:
        with progress_bar(enabled=not as_json) as progress:
            forecast = pipeline.forecast(config, device, overrides or [], progress=progress).to_dict()
        emit(forecast, lambda console: show_forecast(forecast, console), as_json=as_json)
        return
    with progress_bar(enabled=not as_json) as progress:
        plan = pipeline.plan(config, overrides or [], progress=progress).to_dict()
    emit(plan, lambda console: show(plan, console), as_json=as_json)


def show(plan: Mapping[str, Any], console: Console) -> None:
    """The plan as tables for people."""
    from luthier.cli.progress import format_seconds
    from luthier.reporting.tables import mix_table

    splits = table("split", ">rows", ">tokens", title=f"{plan['name']}: {plan['task']}, {plan['method']}")
    for name, rows in plan["rows"].items():
        splits.add_row(name, f"{rows:,}", f"{plan['tokens'][name]:,}")
    console.print(splits)
    if plan["labels"]:
        console.print("labels: " + ", ".join(f"{label} {count}" for label, count in plan["labels"].items()))
    if plan["mix"]:
        console.print(mix_table(plan["mix"]))
    share = plan["trainable"] / plan["parameters"]
    rows, tokens = plan["longest_micro_batch"]
    facts = {
        "trained": f"{plan['trainable']:,} of {plan['parameters']:,} parameters ({share:.2%})",
        "supervised": f"{plan['supervised']:,} tokens; the longest row has {plan['longest']}",
        "steps": f"{plan['steps']} of {plan['batch_size']} rows",
        "frozen": f"{plan['frozen_mb']:,.0f} MB of weights",
        "memory": f"{plan['memory_mb']:,.0f} MB at the largest micro-batch ({rows} rows, {tokens:,} tokens), measured",
        "number type": f"{plan['dtype']} on {plan['device']}: {plan['dtype_reason']}",
        "engine": f"{plan['engine']}: {plan['engine_reason']}",
        "kept": f"{plan['memory']}: {plan['memory_reason']}",
        "time": "about " + format_seconds(plan["seconds"]["all"]),
    }
    facts_table = _facts(facts)
    for name, seconds in plan["seconds"].items():
        if name != "all":
            facts_table.add_row("", f"{name} {format_seconds(seconds)}", style="dim")
    console.print(facts_table)
    for note in plan["notes"]:
        console.print(f"note: {note}", style="dim", soft_wrap=True)
    for remark in plan["remarks"]:
        console.print(f"remark: {remark}", soft_wrap=True)
    for warning in plan["warnings"]:
        console.print(f"warning: {warning}", style="yellow", soft_wrap=True)


def show_forecast(forecast: Mapping[str, Any], console: Console) -> None:
    """The forecast as tables for people."""
    from luthier.cli.progress import format_seconds

    device, memory = forecast["device"], forecast["memory_mb"]
    rows, tokens = forecast["micro_batch"]
    fits = "yes" if forecast["fits"] else "NO"
    needed, room = f"{memory['all'] / 1e3:.1f} GB", f"{forecast['room_mb'] / 1e3:.1f} of {device['memory_gb']:g} GB"
    duration = format_seconds(3600 * forecast["training_hours"])
    facts = {
        "fits": f"{fits}: about {needed} with memory: {forecast['memory']}; {room} may be filled",
        "micro-batch": f"{rows} rows with {tokens:,} computed tokens at most, as configured",
        "room for": f"{forecast['most_rows']} rows of {forecast['longest']} tokens, of {forecast['batch_size']} a step",
        "number type": f"{forecast['dtype']}: {forecast['dtype_reason']}",
        "engine": forecast["engine"],
        "steps": f"{forecast['steps']:,} with {forecast['tokens']:,} tokens, {forecast['computed']:,} computed",
        "training": f"about {duration}; what limits it: {forecast['bound']}",
    }
    facts_table = _facts(facts, title=f"{forecast['name']} on {device['title']}, estimated")
    console.print(facts_table)
    parts = table("memory", ">MB")
    for name, megabytes in memory.items():
        parts.add_row(name, f"{megabytes:,.0f}", style="bold" if name == "all" else None)
    console.print(parts)
    for assumption in forecast["assumptions"]:
        console.print(assumption, style="dim", soft_wrap=True)


def _facts(facts: Mapping[str, str], title: str | None = None) -> Table:
    made = table("", "", title=title)
    made.show_header = False
    for name, fact in facts.items():
        made.add_row(name, fact)
    return made
