"""`luthier chat`: ask a run in the terminal, with the base's answer beside it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli.output import Json, RunFolder, console, table

if TYPE_CHECKING:
    from rich.console import Console


def command(
    run: RunFolder,
    base: Annotated[bool, typer.Option("--base", help="Show the untuned base's answer beside it.")] = False,
    as_json: Json = False,
) -> None:
    """Ask a trained run, a line at a time; an empty line or Ctrl-D ends."""
    from luthier import pipeline

    speakers = {"tuned": pipeline.speaker(run)}
    if base:
        speakers = {"base": pipeline.speaker(run, base=True), **speakers}
    interactive = sys.stdin.isatty() and not as_json
    if interactive:
        console().print("ask something; an empty line ends", style="dim")
    while (text := _ask(interactive)).strip():
        answers = {name: _answer(speaker, text) for name, speaker in speakers.items()}
        if as_json:
            print(json.dumps({"text": text, **answers}, ensure_ascii=False), flush=True)  # a line for every question
        else:
            _show(answers, console())


def _ask(interactive: bool) -> str:
    try:
        return input("> " if interactive else "")
    except EOFError:
        return ""


def _answer(speaker: Any, text: str) -> str:
    """In the model's own words where it has any."""
    from luthier.errors import DataError
    from luthier.evaluation.formatting import readable

    mode = "generate" if "generate" in speaker.modes else speaker.modes[0]
    try:
        [found] = speaker.predict([text], mode=mode)
        return readable(found.text, found.raw, found.form)
    except DataError as error:
        return f"({error.found})"


def _show(answers: dict[str, str], target: Console) -> None:
    side_by_side = table(*answers)
    side_by_side.add_row(*answers.values())
    target.print(side_by_side)
