"""Scores as the report lays them out: tiles, dots with whiskers, and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.evaluation.formatting import BASELINES
from luthier.languages import tell
from luthier.reporting.charts import ticks


@dataclass(frozen=True)
class Whisker:
    """A model's score on the common axis; places are per cent of the axis."""

    name: str
    kind: str
    score: Mapping[str, float]
    dot: float
    left: float
    width: float


@dataclass(frozen=True)
class Whiskers:
    """The scores of all models by one metric, best last, with the axis below."""

    title: str
    lines: Sequence[Whisker]
    axis: Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix; each cell is (count, share of its row, whether it is on the diagonal)."""

    name: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[int, float, bool]]]]


def models(comparison: Mapping[str, Any]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Every model that was scored: {key: (what it is called, its scores)}, simple ones first, the tuned one last."""
    found = {name: (tell(BASELINES.get(name, name)), scores) for name, scores in comparison["baselines"].items()}
    if comparison["base"]:
        found["base"] = (tell("Base, untuned"), comparison["base"])
    return found | {"tuned": (tell("Tuned"), comparison["tuned"])}


def whiskers(comparison: Mapping[str, Any], metric: str) -> Whiskers:
    """The models' scores by one metric on an axis that has room for all their intervals."""
    found = {key: (name, scores[metric]) for key, (name, scores) in models(comparison).items() if metric in scores}
    low = min(score["low"] for _, score in found.values())
    high = max(score["high"] for _, score in found.values())
    is_share = low >= 0 and high <= 1
    marks = ticks(0.0, 1.0) if is_share else ticks(low, high)
    span = marks[-1] - marks[0]

    def place(value: float) -> float:
        return round(100 * (value - marks[0]) / span, 2)

    lines = [
        Whisker(
            name,
            key if key in ("base", "tuned") else "other",
            score,
            place(score["value"]),
            place(score["low"]),
            round(place(score["high"]) - place(score["low"]), 2),
        )
        for key, (name, score) in found.items()
    ]
    axis = [(place(mark), f"{mark:.6g}") for mark in marks]
    return Whiskers(tell(comparison["metrics"][metric]["title"]), lines, axis)


def confusions(comparison: Mapping[str, Any]) -> list[Confusion]:
    """The base's and the tuned model's matrices; the column of invalid answers only where one of them has some."""
    found: Mapping[str, list[list[int]]] = comparison.get("confusion", {})
    classes: list[str] = comparison.get("classes", [])
    invalid = any(row[-1] for matrix in found.values() for row in matrix)
    columns = [*classes, tell("invalid")] if invalid else classes
    return [
        Confusion(
            tell(name),
            columns,
            [
                (classes[i], [(count, count / max(1, sum(row)), i == j) for j, count in enumerate(row[: len(columns)])])
                for i, row in enumerate(found[name])
            ],
        )
        for name in ("base", "tuned")
        if name in found
    ]
