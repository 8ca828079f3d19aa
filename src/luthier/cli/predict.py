"""`luthier predict`: answers to new texts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli.output import Json, RunFolder, emit, table
from luthier.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from luthier.tasks import Prediction


def command(
    run: RunFolder,
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to answer.")] = None,
    input_file: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="A text a line, or JSONL with `text`; - reads standard input."),
    ] = None,
    output_file: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write JSONL there.")] = None,
    mode: Annotated[str | None, typer.Option(help="labels or generate, for a language model.")] = None,
    base: Annotated[bool, typer.Option("--base", help="Ask the untuned base instead.")] = False,
    as_json: Json = False,
) -> None:
    """Answer new texts with a trained run."""
    from luthier import pipeline
    from luthier.runs.files import write_text

    asked = [*(texts or []), *_read(input_file)]
    if not asked:
        raise ConfigError("there is nothing to answer", expected="texts on the command line, or --input FILE")
    predictions = pipeline.predict(run, asked, mode=mode, base=base)
    plain = [_plain(prediction) for prediction in predictions]
    if output_file:
        write_text(output_file, "".join(json.dumps(p, ensure_ascii=False) + "\n" for p in plain))
    emit(plain, lambda console: _show(predictions, console), as_json=as_json)


def _read(path: Path | None) -> list[str]:
    if path is None:
        return []
    from luthier.data.questions import read_questions

    if str(path) == "-":
        return read_questions(sys.stdin.buffer.read())
    if not path.is_file():
        raise ConfigError(f"there is no file '{path}'", where="--input")
    return read_questions(path)


def _plain(prediction: Prediction) -> dict[str, Any]:
    return {
        "text": prediction.text,
        "answer": prediction.parsed if prediction.parsed is not None else prediction.raw,
        "raw": prediction.raw,
        "valid": prediction.parsed is not None,
        "scores": prediction.scores,
    }


def _show(predictions: list[Prediction], console: Console) -> None:
    from luthier.evaluation.formatting import readable

    rows = table("answer", ">probability", "text")
    for prediction in predictions:
        answer = prediction.parsed if prediction.parsed is not None else prediction.raw
        rows.add_row(readable(prediction.text, answer, prediction.form), _probability(prediction), prediction.text)
    console.print(rows)


def _probability(prediction: Prediction) -> str:
    """Of the best label among the allowed ones; of each label, where an answer names several."""
    import math

    from luthier.tasks import names_in

    scores = prediction.scores
    if not scores:
        return ""
    if prediction.form == "labels":
        return ", ".join(f"{math.exp(scores[label]):.3f}" for label in names_in(prediction.raw, "labels"))
    best = max(scores.values())
    return f"{1 / sum(math.exp(score - best) for score in scores.values()):.3f}"
