"""`luthier data generate`: instruction rows that a model writes from examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli.output import Json, Overrides, emit, table

if TYPE_CHECKING:
    from rich.console import Console


def command(
    seeds: Annotated[
        Path, typer.Argument(metavar="SEEDS", help="A run's YAML (its training rows are the seeds), or a file of rows.")
    ],
    endpoint: Annotated[str, typer.Option(metavar="URL", help="An OpenAI-compatible endpoint, up to and with /v1.")],
    model: Annotated[str, typer.Option(help="The model's name there.")],
    out: Annotated[Path, typer.Option(help="The file to write; a generation that stopped goes on with it.")],
    rows: Annotated[int, typer.Option(min=1, help="Rows to accept, earlier calls included.")] = 100,
    about: Annotated[str | None, typer.Option(help="What the rows are for, said to the model.")] = None,
    requests: Annotated[int | None, typer.Option(min=1, help="Most requests in all, failed ones included.")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens in all, read and written.")] = None,
    money: Annotated[
        float | None, typer.Option(min=0, help="Most money in all; needs --prompt-price and --completion-price.")
    ] = None,
    prompt_price: Annotated[float, typer.Option(min=0, help="Price of a million tokens read.")] = 0.0,
    completion_price: Annotated[float, typer.Option(min=0, help="Price of a million tokens written.")] = 0.0,
    examples: Annotated[int, typer.Option(min=1, help="Rows shown in a request.")] = 8,
    per_request: Annotated[int, typer.Option(min=1, help="Rows asked for in a request.")] = 5,
    similarity: Annotated[
        float, typer.Option(min=0.3, max=1, help="Overlap of 5-grams from which on a row is refused as a duplicate.")
    ] = 0.7,
    temperature: Annotated[float, typer.Option(min=0, help="Of the model.")] = 0.8,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer to a request.")] = 2048,
    at_once: Annotated[int, typer.Option(min=1, help="Requests under way at the same time.")] = 4,
    tries: Annotated[int, typer.Option(min=1, help="How often a request is tried.")] = 5,
    key_variable: Annotated[
        str, typer.Option(help="The environment variable that holds the endpoint's key.")
    ] = "OPENAI_API_KEY",
    seed: Annotated[int, typer.Option(help="Seed of what is shown.")] = 42,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Let a model write instruction rows like yours; invalid ones and near-duplicates are refused and kept aside."""
    from luthier import pipeline
    from luthier.cli.progress import progress_bar
    from luthier.data.generation import Budget, Wishes
    from luthier.endpoint import Endpoint
    from luthier.errors import ConfigError

    if money is not None and not (prompt_price or completion_price):
        raise ConfigError("--money needs prices", hint="--prompt-price and --completion-price, of a million tokens")
    wishes = Wishes(
        rows=rows,
        per_request=per_request,
        examples=examples,
        about=about,
        similarity=similarity,
        temperature=temperature,
        max_tokens=max_tokens,
        at_once=at_once,
        seed=seed,
    )
    budget = Budget(requests, tokens, money, prompt_price, completion_price)
    asked = Endpoint(endpoint, model, key_variable, tries=tries)
    with progress_bar(enabled=not as_json) as progress:
        made = pipeline.generate(
            seeds, asked, out, wishes, budget, overrides=overrides or [], progress=progress
        ).to_dict()
    emit(made, lambda console: show(made, console), as_json=as_json)


def show(made: dict[str, Any], console: Console) -> None:
    """What became of the candidates, and what it cost."""
    facts = table("", "")
    facts.show_header = False
    facts.add_row("accepted", f"{made['rows']:,} rows in {made['file']}")
    facts.add_row("refused", f"{sum(made['refused'].values()):,} rows in {made['refused_file']}")
    for reason, count in made["refused"].items():
        facts.add_row("", f"{count:,} {reason}", style="dim")
    lost = f", {made['lost']} of them without an answer" if made["lost"] else ""
    facts.add_row("requests", f"{made['requests']:,}{lost}")
    cost = f", {made['cost']:g} in money" if made["cost"] else ""
    facts.add_row("tokens", f"{made['prompt_tokens']:,} read, {made['completion_tokens']:,} written{cost}")
    facts.add_row("ended", f"because of {made['ended']}" if made["ended"].startswith("the budget") else made["ended"])
    console.print(facts)
    console.print(f"\ntry next:\n  data.train: [YOUR ROWS, {made['file']}]", soft_wrap=True)
