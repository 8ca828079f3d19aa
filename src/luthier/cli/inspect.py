"""`luthier inspect`: the exact tokens of a row, learned or not, and its line in the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli.output import Json, Overrides, emit, table

if TYPE_CHECKING:
    from rich.console import Console


def command(
    config: Annotated[Path, typer.Argument(help="The run's YAML.")],
    row: Annotated[
        int | None, typer.Option(help="The row's number in the ledger; default: the first training row.")
    ] = None,
    serve_check: Annotated[
        bool,
        typer.Option(
            "--serve-check", help="Compare the prompt with what `transformers` would send for the same messages."
        ),
    ] = False,
    ids: Annotated[bool, typer.Option("--ids", help="List every token with its id.")] = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Show a row as the model sees it: green is learned, grey is the prompt."""
    from luthier import pipeline

    found = pipeline.inspect(config, overrides or [], row=row, serve_check=serve_check)
    emit(found.to_dict(), lambda console: show(found, console, ids=ids), as_json=as_json)


def show(found: Any, console: Console, *, ids: bool) -> None:
    """The row, its tokens and its fate."""
    entry = found.ledger
    reason = f" ({entry.reason})" if entry.reason else ""
    console.print(f"row {entry.row_id}  {entry.file}:{entry.line}  {entry.fate}{reason}  split: {entry.split or '-'}")
    if entry.origin != "raw":
        console.print(
            f"origin: {entry.origin}" + (f", made of row {entry.parent_id}" if entry.parent_id is not None else "")
        )
    if entry.changes:
        console.print(f"changes: {entry.changes}")
    if found.rejected and found.rejected != entry.reason:
        console.print(f"not encoded: {found.rejected}", style="yellow")
    for sequence in found.sequences:
        _show_tokens(sequence, console, ids=ids)
    if found.sequences:
        learned = sum(token.supervised for token in found.sequences[0])
        cut = f", {found.truncated} cut" if found.truncated else ""
        console.print(
            f"{len(found.sequences[0])} tokens, {learned} learned, prompt of {found.prompt_length}{cut}", style="dim"
        )
    if found.serve:
        _show_serve(found.serve, console)


def _show_tokens(sequence: list[Any], console: Console, *, ids: bool) -> None:
    from rich.text import Text

    if not ids:
        styles = {True: "black on green", False: "grey50"}
        console.print(Text.assemble(*((token.text, styles[token.supervised]) for token in sequence)), soft_wrap=True)
        return
    rows = table(">position", ">id", "token", "learned")
    for position, token in enumerate(sequence):
        rows.add_row(str(position), str(token.id), repr(token.text), "yes" if token.supervised else "")
    console.print(rows)


def _show_serve(check: Any, console: Console) -> None:
    if check.same:
        console.print("serve check: the prompt is token for token what apply_chat_template sends", style="green")
        return
    console.print(f"serve check: the prompts differ from token {check.position} on", style="red")
    console.print(f"  trained: {check.trained}\n  served:  {check.served}", soft_wrap=True)
    console.print(
        "  a server must use this run's template and system message; an exported tokenizer carries the template"
    )
