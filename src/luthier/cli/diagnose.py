"""`luthier diagnose`: what is wrong with a run and what to change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from luthier.cli.output import Json, RunFolder, emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.diagnosis import Diagnosis, Finding

STYLES = {"problem": "bold red", "warning": "yellow", "note": "bold"}


def command(
    run: RunFolder,
    rows: Annotated[int, typer.Option("--rows", min=0, help="How many suspect rows are shown.")] = 20,
    as_json: Json = False,
) -> None:
    """Name what is wrong with a run and what to change."""
    from luthier import pipeline

    found = pipeline.diagnose(run)
    emit(found.to_dict(), lambda console: show(found, console, rows), as_json=as_json)


def show(diagnosis: Diagnosis, console: Console, rows: int) -> None:
    """Each finding: what was seen, why, and what to change."""
    for finding in diagnosis.findings:
        console.print(f"{finding.severity}: {finding.title}", style=STYLES[finding.severity])
        console.print(f"  seen      {finding.seen}", soft_wrap=True)
        console.print(f"  cause     {finding.cause}", soft_wrap=True)
        for key, value in finding.change.items():
            console.print(f"  change    {key}: {json.dumps(value)}", soft_wrap=True)
        if finding.advice:
            console.print(f"  advice    {finding.advice}", soft_wrap=True)
        if finding.rows and rows:
            _show_rows(finding, console, rows)
    if not diagnosis.findings:
        console.print(f"nothing found: {', '.join(diagnosis.examined)}", soft_wrap=True)
    for name, reason in diagnosis.unexamined.items():
        console.print(f"not examined: {name}: {reason}", style="dim", soft_wrap=True)
    if diagnosis.findings:
        changes = {key: value for finding in reversed(diagnosis.findings) for key, value in finding.change.items()}
        overrides = " ".join(f"--set {key}={json.dumps(value)}" for key, value in changes.items() if _plain(value))
        if overrides:
            console.print(f"\ntry next:\n  luthier train {diagnosis.run}/config.yaml {overrides}", soft_wrap=True)


def _plain(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and value.isidentifier())


def _show_rows(finding: Finding, console: Console, most: int) -> None:
    suspects = table("where", "text", "label", "suggested", ">probability of its label")
    for row in finding.rows[:most]:
        suspects.add_row(row.where, row.text[:200], row.label, row.suggested, f"{row.probability:.3f}")
    console.print(suspects)
    if len(finding.rows) > most:
        console.print(f"{len(finding.rows) - most} more are in diagnosis.json", style="dim")
