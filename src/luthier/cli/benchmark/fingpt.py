"""`luthier benchmark fingpt`: a run on FinGPT's four sets of financial sentiment, beside the published scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from luthier.cli.output import Json, RunFolder, emit, table

if TYPE_CHECKING:
    from rich.console import Console

Files = list[str] | None


def command(
    run: RunFolder,
    fpb: Annotated[
        Files, typer.Option("--fpb", metavar="FILE", help="Financial PhraseBank, the 50 % agreement set.")
    ] = None,
    fiqa: Annotated[
        Files,
        typer.Option("--fiqa", metavar="FILE", help="FiQA-SA: once for each of train, validation and test, in order."),
    ] = None,
    tfns: Annotated[
        Files, typer.Option("--tfns", metavar="FILE", help="Twitter Financial News Sentiment, the validation part.")
    ] = None,
    nwgi: Annotated[
        Files, typer.Option("--nwgi", metavar="FILE", help="News With GPT Instructions, the test part.")
    ] = None,
    prompts: Annotated[
        Literal["fingpt", "run"], typer.Option(help="FinGPT's prompts, or those that the run was trained with.")
    ] = "fingpt",
    parsing: Annotated[
        Literal["fingpt", "strict"],
        typer.Option(help="FinGPT's way of reading answers (no label means neutral), or strict: no label is wrong."),
    ] = "fingpt",
    as_given: Annotated[
        bool, typer.Option("--as-given", help="Ask about all rows of the files, not the part that FinGPT tests on.")
    ] = False,
    base: Annotated[bool, typer.Option("--base", help="Ask the untuned base too.")] = False,
    as_json: Json = False,
) -> None:
    """Score a run on FinGPT's sentiment benchmark: weighted F1 on FPB, FiQA-SA, TFNS and NWGI."""
    from luthier import pipeline
    from luthier.cli.progress import progress_bar

    files = {"fpb": fpb or [], "fiqa": fiqa or [], "tfns": tfns or [], "nwgi": nwgi or []}
    with progress_bar(enabled=not as_json) as progress:
        found = pipeline.benchmark_fingpt(
            run, files, prompts=prompts, parsing=parsing, as_given=as_given, base=base, progress=progress
        )
    emit(found, lambda console: show(found, console), as_json=as_json)


def show(found: dict[str, Any], console: Console) -> None:
    """Weighted F1 of the run above the published ones."""
    from luthier.evaluation.fingpt_sets import PUBLISHED, SETS, SOURCE
    from luthier.evaluation.formatting import number, share, span

    sets: dict[str, Any] = found["sets"]
    headings = [f">{SETS[name].title}, {each['rows']} rows" for name, each in sets.items()]
    scores = table("weighted F1", *headings, title="FinGPT's benchmark, 95 % intervals")
    size = f" ({found['parameters'] / 1e6:,.0f} million parameters)" if found["parameters"] else ""
    for model, called in (("tuned", f"this run{size}"), ("base", "its base, untuned")):
        if all(each[model] for each in sets.values()):
            values = [each[model]["f1_weighted"] for each in sets.values()]
            unmatched = [each["unmatched"][model] for each in sets.values()]
            cells = [
                f"{number(value['value'])}\n{span(value)}" + (f"\n{share(none)} name no label" if none else "")
                for value, none in zip(values, unmatched, strict=True)
            ]
            scores.add_row(called, *cells)
    for model, published in PUBLISHED.items():
        scores.add_row(model, *(f"{published[name]:.3f}" if name in published else "" for name in sets))
    console.print(scores)
    console.print(f"prompts: {found['prompts']}, parsing: {found['parsing']}. Published: {SOURCE}", style="dim")
