"""Printing: for people with rich, for machines as one JSON document; errors go to stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.errors import ConfigError
from luthier.languages import Language

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from luthier.errors import LuthierError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text for people.")]
"""The option `--json`, which every command has."""

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as training.epochs=1. Repeatable."),
]
"""The option `--set`, for every command that takes a configuration."""

Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]
"""The option `--force`, for commands that write a file of rows; see `refuse_to_replace`."""

Lang = Annotated[Language, typer.Option("--lang", help="What you are told it in.")]
"""The option `--lang`, for commands that speak other languages too."""

RunFolder = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run's folder, or the folder of all runs of one name (the newest is taken)."),
]
"""The argument of every command that reads a finished run."""


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as it stands (no markup, no emoji codes); wide and plain when it is no terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream, markup=False, emoji=False, highlight=False, width=None if stream.isatty() else 160, soft_wrap=False
    )


def refuse_to_replace(output: Path, force: bool) -> None:
    """Stops before a file that is there would be written over.

    Raises:
        ConfigError: there is one, and nobody said --force.
    """
    if output.exists() and not force:
        raise ConfigError(f"there is already a file '{output}'", hint="another name, or --force to write over it")


def emit(document: Any, render: Callable[[Console], None], *, as_json: bool) -> None:
    """Prints a result: as JSON, or by `render` for people.

    Args:
        document: what a machine gets; mappings, sequences, numbers, text and paths.
        render: prints the same for people.
        as_json: whether `--json` was given.
    """
    if as_json:
        print(json.dumps(plain(document), ensure_ascii=False, indent=2))
    else:
        render(console())


def plain(value: Any) -> Any:
    """The value as JSON has it: paths become text, numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def table(*columns: str, title: str | None = None) -> Table:
    """A table in the one style of all commands; columns that begin with `>` are aligned to the right."""
    from rich import box
    from rich.table import Table

    width = min(len(title), 100) if title else None  # rich folds a title to the width of its table
    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, min_width=width)
    for column in columns:
        made.add_column(
            column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold"
        )
    return made


def print_error(error: LuthierError, *, as_json: bool) -> None:
    """Prints an error to stderr: found, where, expected, try; or the same as a JSON object."""
    if as_json:
        document = {
            "error": error.found,
            "where": error.where,
            "expected": error.expected,
            "hint": error.hint,
            "exit_code": error.exit_code,
        }
        print(json.dumps(document, ensure_ascii=False), file=sys.stderr)
        return
    from rich.text import Text

    first, _, rest = error.render().partition("\n")
    message = Text.assemble(("error: ", "bold red"), (first, "bold"), "\n" + rest if rest else "")
    console(stderr=True).print(message, soft_wrap=True)
