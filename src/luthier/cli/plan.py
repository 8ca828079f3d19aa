"""`luthier plan`: what a run will do, measured, without training."""

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
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Say what a run will do: rows, memory, time, warnings. Nothing is trained."""
    from luthier import pipeline
    from luthier.cli.progress import progress_bar

    with progress_bar(enabled=not as_json) as progress:
        plan = pipeline.plan(config, overrides or [], progress=progress).to_dict()
    emit(plan, lambda console: show(plan, console), as_json=as_json)


def show(plan: Mapping[str, Any], console: Console) -> None:
    """The plan as tables for people."""
    from luthier.cli.progress import format_seconds

    splits = table("split", ">rows", ">tokens", title=f"{plan['name']}: {plan['task']}, {plan['method']}")
    for name, rows in plan["rows"].items():
        splits.add_row(name, f"{rows:,}", f"{plan['tokens'][name]:,}")
    console.print(splits)
    if plan["labels"]:
        console.print("labels: " + ", ".join(f"{label} {count}" for label, count in plan["labels"].items()))
    share = plan["trainable"] / plan["parameters"]
    rows, tokens = plan["longest_micro_batch"]
    facts = {
        "trained": f"{plan['trainable']:,} of {plan['parameters']:,} parameters ({share:.2%})",
        "supervised": f"{plan['supervised']:,} tokens; the longest row has {plan['longest']}",
        "steps": f"{plan['steps']} of {plan['batch_size']} rows",
        "memory": f"{plan['memory_mb']:,.0f} MB at the largest micro-batch ({rows} rows of {tokens} tokens), measured",
        "number type": f"{plan['dtype']} on {plan['device']}: {plan['dtype_reason']}",
        "engine": f"{plan['engine']}: {plan['engine_reason']}",
        "time": "about " + format_seconds(plan["seconds"]["all"]),
    }
    facts_table = table("", "")
    facts_table.show_header = False
    for name, fact in facts.items():
        facts_table.add_row(name, fact)
    for name, seconds in plan["seconds"].items():
        if name != "all":
            facts_table.add_row("", f"{name} {format_seconds(seconds)}", style="dim")
    console.print(facts_table)
    for note in plan["notes"]:
        console.print(f"note: {note}", style="dim", soft_wrap=True)
    for warning in plan["warnings"]:
        console.print(f"warning: {warning}", style="yellow", soft_wrap=True)
