"""`luthier export`: artefacts that prove that they answer like the adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli.output import Json, RunFolder, emit


def command(
    run: RunFolder,
    target: Annotated[str, typer.Option("--to", help="What to write: merged.")] = "merged",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FOLDER", help="Where; default: in the run's folder.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")] = None,
    as_json: Json = False,
) -> None:
    """Write a model for others to load; refused when it does not answer like what was trained."""
    from luthier import pipeline

    made = pipeline.export(run, target, output, dtype=dtype)
    parity = made.parity
    document = {"target": made.target, "folder": made.folder, "dtype": made.dtype, "parity": parity.to_dict()}
    emit(
        document,
        lambda console: console.print(
            f"wrote {made.folder}\nparity: {parity.rows} golden prompts, largest total variation {parity.distance:.2g} "
            f"(allowed {parity.allowed:.2g}), same first choice on {parity.agreement:.0%}",
            soft_wrap=True,
        ),
        as_json=as_json,
    )
