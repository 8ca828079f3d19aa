"""`luthier import-config`: a configuration of another tool in Luthier's keys."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luthier.cli.output import Json, emit, table
from luthier.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.importing import Imported


def command(
    file: Annotated[Path, typer.Argument(help="A YAML file of LLaMA-Factory or Axolotl.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the configuration.")] = Path("run.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Turn a LLaMA-Factory or Axolotl configuration into one of Luthier, naming every difference."""
    from luthier import pipeline
    from luthier.runs.files import write_text

    if output.exists() and not force:
        raise ConfigError(
            f"there is already a file '{output}'", hint="--output OTHER.yaml, or --force to write over it"
        )
    found = pipeline.import_config(file)
    write_text(output, found.yaml)
    document = {
        "output": output,
        "tool": found.tool,
        "settings": [asdict(setting) for setting in found.settings],
        "config": found.config.model_dump(mode="json"),
    }
    emit(document, lambda console: show(found, output, console), as_json=as_json)


def show(found: Imported, output: Path, console: Console) -> None:
    """What became of each setting; those that differ or have no equivalent stand out."""
    styles = {"same": None, "differs": "yellow", "none": "red", "unknown": "red", "nothing": "dim"}
    settings = table("their key", "value", "ours", "what became of it", "note", title=f"from {found.tool}")
    for setting in found.settings:
        fate = MEANINGS[setting.fate]
        settings.add_row(setting.key, setting.value, setting.ours, fate, setting.note, style=styles[setting.fate])
    console.print(settings)
    counts = {fate: sum(setting.fate == fate for setting in found.settings) for fate in MEANINGS}
    console.print(", ".join(f"{count} {MEANINGS[fate]}" for fate, count in counts.items() if count), style="bold")
    console.print(f"\nwrote {output}\n\ntry next:", soft_wrap=True)
    console.print(f"  luthier plan {output}", style="bold")


MEANINGS = {
    "same": "taken over",
    "differs": "differs",
    "none": "no equivalent",
    "unknown": "not known",
    "nothing": "nothing to do",
}
"""What becomes of a setting, in words."""
