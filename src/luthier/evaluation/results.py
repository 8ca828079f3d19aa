"""evaluation/metrics.json and evaluation/predictions.jsonl: what an evaluation leaves in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.data.market.forecasts import read_forecast
from luthier.evaluation.metrics._forecasts import are_forecasts
from luthier.runs.files import replacing
from luthier.tasks import Form, Prediction


@dataclass(frozen=True)
class Answers:
    """What one model said about the rows of one split.

    Attributes:
        model: tuned, base, or a baseline's name (majority, tfidf, few_shot).
        split: which rows.
        mode: how the model was asked.
        predictions: its answers.
        seconds: what asking about all rows took.
    """

    model: str
    split: str
    mode: str
    predictions: Sequence[Prediction]
    seconds: float = 0.0


def asking_times(answers: Iterable[Answers]) -> dict[str, dict[str, dict[str, float]]]:
    """{model: {mode: {rows, seconds, tokens}}} of all answers that took time: for run.json, since no two evaluations
    agree. Only written answers have tokens.
    """
    times: dict[str, dict[str, dict[str, float]]] = {}
    for group in answers:
        if group.seconds:
            asked = {"rows": len(group.predictions), "seconds": round(group.seconds, 3)}
            tokens = sum(row.written for row in group.predictions)
            times.setdefault(group.model, {})[group.mode] = asked | ({"tokens": tokens} if tokens else {})
    return times


def assemble(comparisons: Mapping[str, Mapping[str, dict[str, Any]]], split: str, mode: str) -> dict[str, Any]:
    """The content of metrics.json: {primary: {split, mode, metric}, results: {SPLIT: {MODE: comparison}}}.

    Args:
        comparisons: what `compare` returned, by split and mode.
        split: the split that decides.
        mode: the way of asking that decides.
    """
    facts = comparisons[split][mode].get("metrics", {})
    directed = (name for name in comparisons[split][mode]["tuned"] if _has_direction(facts.get(name, {})))
    metric = next(directed, None)
    results = {name: dict(modes) for name, modes in comparisons.items()}
    return {"primary": {"split": split, "mode": mode, "metric": metric}, "results": results}


def _has_direction(facts: Mapping[str, Any]) -> bool:
    """Whether more or less of a metric is better: only such a one can decide."""
    return facts.get("higher_is_better", True) is not None


def primary(results: Mapping[str, Any]) -> dict[str, Any]:
    """The comparison that decides."""
    where = results["primary"]
    comparison: dict[str, Any] = results["results"][where["split"]][where["mode"]]
    return comparison


def read_answers(path: Path, model: str, split: str, mode: str, form: Form = "plain") -> list[Prediction]:
    """One model's answers from predictions.jsonl, in the order in which they were given."""
    with path.open(encoding="utf-8") as file:
        lines = [json.loads(text) for text in file]
    return [
        Prediction(
            line["row_id"], line["prompt"], line["expected"], line["raw"], line["parsed"],
            line.get("scores", {}), line.get("loss"), line.get("tokens", 0), form, line.get("cut", False),
            line.get("written", 0),
        )
        for line in lines
        if (line["model"], line["split"], line["mode"]) == (model, split, mode)
    ]  # fmt: skip


def validity(predictions: Sequence[Prediction]) -> list[bool]:
    """Whether each answer is one at all: where every right one is a forecast, whether it forecasts something."""
    if are_forecasts(predictions, ()):
        return [read_forecast(row.raw) is not None for row in predictions]
    return [row.parsed is not None for row in predictions]


def write_predictions(path: Path, answers: Iterable[Answers]) -> None:
    """Writes every answer as a line of JSON, atomically."""
    with replacing(path) as aside, aside.open("w", encoding="utf-8") as file:
        for group in answers:
            for row, valid in zip(group.predictions, validity(group.predictions), strict=True):
                line = {
                    "model": group.model,
                    "split": group.split,
                    "mode": group.mode,
                    "row_id": row.row_id,
                    "prompt": row.text,
                    "expected": row.expected,
                    "raw": row.raw,
                    "parsed": row.parsed,
                    "valid": valid,
                    "cut": row.cut,
                    "written": row.written,
                    "loss": row.loss,
                    "tokens": row.tokens,
                    "scores": row.scores,
                }
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
