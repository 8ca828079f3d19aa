"""`luthier judge`: which of two runs answers better, as a language model sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli.output import Json, RunFolder, emit

if TYPE_CHECKING:
    from rich.console import Console


def command(
    run: RunFolder,
    endpoint: Annotated[str, typer.Option(metavar="URL", help="What stands before /chat/completions.")],
    model: Annotated[str, typer.Option(metavar="NAME", help="The judge's name at the endpoint.")],
    other: Annotated[
        str | None, typer.Argument(metavar="OTHER", help="The run to compare with; left out, the base of the first.")
    ] = None,
    question: Annotated[
        str | None, typer.Option("--question", metavar="TEXT", help="What the judge is asked about two answers.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="ROWS", help="At most so many rows.")] = 100,
    as_json: Json = False,
) -> None:
    """Let a language model judge whose written answers are better; the key is read from OPENAI_API_KEY.

    Every pair is shown in both orders: an answer wins only when it is chosen in both. What was judged already is not
    asked again.
    """
    from luthier import pipeline
    from luthier.cli.progress import progress_bar

    with progress_bar(enabled=not as_json) as progress:
        found = pipeline.judge(
            run, other, endpoint=endpoint, model=model, question=question, limit=limit, progress=progress
        )
    emit(found, lambda console: show(found, console), as_json=as_json)


def show(found: dict[str, Any], console: Console) -> None:
    """The counts in words."""
    from luthier.evaluation.formatting import share, span

    score = found["score"]
    console.print(f"{found['wins']} won, {found['losses']} lost, {found['ties']} tied of {found['rows']} rows")
    console.print(
        f"score {share(score['value'])} (95 % interval {span(score)}; a tie counts a half), against {found['against']}",
        style="bold",
        soft_wrap=True,
    )
    odd = f"{found['inconsistent']} ties because the two orders disagree, {found['unreadable']} without a verdict"
    first = "" if found["first_place"] is None else f"; the first place was chosen {share(found['first_place'])}"
    console.print(f"{odd}{first}", style="dim", soft_wrap=True)
