"""`luthier train`: trains, evaluates beside the base and writes the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli.output import Json, Overrides, emit
from luthier.languages import retell, speaking, tell

if TYPE_CHECKING:
    from rich.console import Console


def command(
    config: Annotated[Path | None, typer.Argument(help="The run's YAML; `luthier new` writes one.")] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Go on with an interrupted run.")
    ] = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Train a model, compare it with its base and write the report."""
    from luthier import pipeline
    from luthier.cli.progress import TrainingDisplay, progress_bar

    with progress_bar(enabled=not as_json) as progress, TrainingDisplay(enabled=not as_json) as display:
        run = pipeline.train(config, overrides or [], resume=resume, listeners=[display], progress=progress)
    with speaking(run.config.language):
        emit(result(run), lambda console: show(run, console), as_json=as_json)


def result(run: Any) -> dict[str, Any]:
    """What a machine gets to know of a finished run."""
    from luthier.runs.files import read_json

    metrics = read_json(run.metrics_file) if run.metrics_file.exists() else None
    return {"run": run.path, "adapter": run.adapter, "report": run.report, "record": run.record, "metrics": metrics}


def show(run: Any, console: Console) -> None:
    """Scores, where everything lies, and what to do next."""
    from luthier import registry
    from luthier.cli.evaluate import show_scores
    from luthier.data.ledger import summarise
    from luthier.reporting.tables import ledger_tables, mix_table

    for table in ledger_tables(summarise(run.ledger_file)):
        console.print(table)
    if mix := run.record.get("mix"):
        console.print(mix_table(mix))
    show_scores(run, console)
    here = Path.cwd()
    folder = run.path.relative_to(here) if run.path.is_relative_to(here) else run.path
    console.print()
    console.print(_artefact(run.adapter, folder / "adapter"))
    console.print(tell("scores    {path}", path=folder / "evaluation" / "metrics.json"))
    console.print(tell("ledger    {path}   (every row and its fate)", path=folder / "ledger.parquet"))
    console.print(tell("report    {path}   (open it in a browser)", path=folder / "report.html"))
    console.print(f"\n{tell('try next:')}")
    console.print(f"  luthier chat {folder} --base", style="bold")
    console.print(f'  luthier predict {folder} "{tell("your own text")}"', style="bold")
    if why := registry.load("method", run.config.method.name).unmergeable:
        console.print("  " + tell("no `luthier export`: {why}", why=retell(why)), style="dim", soft_wrap=True)
    else:
        console.print(f"  luthier export {folder} --to merged", style="bold")


def _artefact(adapter: Path, shown: Path) -> str:
    """What was trained, and what loads it besides Luthier."""
    if (adapter / "adapter_config.json").is_file():
        return tell("adapter   {path}   (plain `peft` loads it)", path=shown)
    if (adapter / "config.json").is_file():
        return tell("model     {path}   (plain `transformers` loads it)", path=shown)
    return tell("adapter   {path}", path=shown)
