"""`luthier new`: looks at somebody's own data and writes the configuration of a first run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luthier.cli.output import Json, Lang, emit, table
from luthier.errors import ConfigError
from luthier.languages import speaking, tell

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.drafting import Draft


def command(
    data: Annotated[str, typer.Argument(help="Your rows: a file or a folder.")],
    base: Annotated[
        str | None, typer.Option(help="Base model: hub id, folder, .gguf file, or package:MODULE/FILE.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="causal_lm, preference, seq2seq, sequence_classification or token_classification."),
    ] = None,
    output: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the configuration.")] = Path("run.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    lang: Lang = "en",
    as_json: Json = False,
) -> None:
    """Look at your data, say what it is, and write a complete configuration for it."""
    from luthier import pipeline
    from luthier.runs.files import write_text

    if output.exists() and not force:
        raise ConfigError(
            f"there is already a file '{output}'", hint="--output OTHER.yaml, or --force to write over it"
        )
    with speaking(lang):
        made = pipeline.new(data, base=base, task=task)
        write_text(output, made.yaml)
        document = {
            "output": output,
            "profile": asdict(made.profile),
            "config": made.config.model_dump(mode="json"),
            "remarks": made.remarks,
        }
        emit(document, lambda console: _show(console, made, output), as_json=as_json)


def _show(console: Console, made: Draft, output: Path) -> None:
    for line in made.summary:
        console.print(line, soft_wrap=True)
    columns = table(tell("column"), tell("kind"), tell("values"))
    for column in made.profile.columns:
        columns.add_row(column.name, tell(column.kind), " | ".join(column.examples))
    if made.profile.columns:
        console.print(columns)
    for remark in made.remarks:
        console.print(tell("note: {remark}", remark=remark), style="yellow", soft_wrap=True)
    config = made.config
    console.print(tell("task: {task} on {base}", task=config.task.name, base=config.model.base), soft_wrap=True)
    console.print(f"\n{tell('wrote {file}', file=output)}\n\n{tell('try next:')}", soft_wrap=True)
    console.print(f"  luthier plan {output}", style="bold")
    console.print(f"  luthier train {output}", style="bold")
