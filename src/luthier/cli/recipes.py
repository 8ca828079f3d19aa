"""`luthier recipes`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from luthier.cli.output import Json, Lang, emit, table
from luthier.languages import speaking, tell


def command(
    name: Annotated[str | None, typer.Argument(help="Print this recipe's YAML instead of the list.")] = None,
    lang: Lang = "en",
    as_json: Json = False,
) -> None:
    """List ready runs, or print one: `luthier recipes finance_sentiment > run.yaml`."""
    with speaking(lang):
        if name is None:
            _list(as_json)
        else:
            _print(name, as_json)


def _list(as_json: bool) -> None:
    from luthier import pipeline

    found = pipeline.recipes()
    rows = table(tell("recipe"), tell("what it does"))
    for recipe in found:
        rows.add_row(recipe.name, recipe.description)
    listing = [{"name": recipe.name, "description": recipe.description} for recipe in found]
    emit(listing, lambda console: console.print(rows), as_json=as_json)


def _print(name: str, as_json: bool) -> None:
    from luthier import pipeline

    recipe = pipeline.recipe(name)
    if as_json:
        emit({"name": recipe.name, "description": recipe.description, "yaml": recipe.text}, print, as_json=True)
    else:
        sys.stdout.write(recipe.text)
