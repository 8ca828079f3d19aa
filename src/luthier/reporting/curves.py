"""The course of a run: its events as charts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from luthier import registry
from luthier.reporting.charts import Point, Series, line_chart
from luthier.runs.events import Event

_MOST_POINTS = 240


@dataclass(frozen=True)
class Curve:
    """A chart and what stands above it."""

    title: str
    svg: Markup


def curves(events: Sequence[Event]) -> list[Curve]:
    """Loss (training and validation), validation metrics, learning rate: those that were recorded."""
    steps = [event for event in events if event["kind"] == "step"]
    best = max((event["step"] for event in events if event["kind"] == "checkpoint" and event.get("best")), default=None)
    validation = _validation(events)
    raw = _points(steps, "loss")
    loss = [Series("training, each step", _thinned(raw), "faint"), Series("training, smoothed", _smoothed(raw), "s0")]
    loss += [Series(name, points, "s1", dots=True) for name, points in validation.pop("loss", {}).items()]
    found = [("Loss", loss)]
    shares, others = [], []
    for metric, lines in validation.items():
        bounded = all(-1 <= y <= 1 for points in lines.values() for _, y in points)
        (shares if bounded else others).extend((_name(metric, name), points) for name, points in lines.items())
    found.append(("Validation", [Series(name, points, f"s{i % 6}", True) for i, (name, points) in enumerate(shares)]))
    found += [(name, [Series(name, points, "s1", True)]) for name, points in others]
    found.append(("Learning rate", [Series("learning rate", _thinned(_points(steps, "learning_rate")), "s0")]))
    drawn = [(title, [line for line in lines if line.points]) for title, lines in found]
    return [
        Curve(title, line_chart(title, lines, None if title == "Learning rate" else best))
        for title, lines in drawn
        if lines
    ]


def _name(metric: str, split: str) -> str:
    """The metric as scores call it, and the split unless it is the usual one."""
    title = registry.load("metric", metric).title if metric in registry.names("metric") else metric
    return title if split == "validation" else f"{title}, {split}"


def _points(events: Sequence[Event], field: str) -> list[Point]:
    """(step, value) of a field; values that are missing or not finite are left out."""
    pairs = [(event["step"], event.get(field)) for event in events]
    return [(float(step), float(value)) for step, value in pairs if value is not None and math.isfinite(value)]


def _validation(events: Sequence[Event]) -> dict[str, dict[str, list[Point]]]:
    """{metric: {split: points}} of the evaluations during training."""
    found: dict[str, dict[str, list[Point]]] = {}
    for event in events:
        if event["kind"] != "evaluation":
            continue
        for metric, value in event["metrics"].items():
            if value is not None and math.isfinite(value):
                points = found.setdefault(metric, {}).setdefault(event.get("split", "validation"), [])
                points.append((float(event["step"]), float(value)))
    return found


def _thinned(points: Sequence[Point]) -> list[Point]:
    """At most so many points as can be seen, each the mean of those it stands for."""
    width = math.ceil(len(points) / _MOST_POINTS) or 1
    groups = [points[start : start + width] for start in range(0, len(points), width)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def _smoothed(points: Sequence[Point]) -> list[Point]:
    """An exponential moving average over about a fortieth of the run, corrected for its start as Adam's is."""
    keep = 1 - 1 / max(2.0, len(points) / 40)
    average, smooth = 0.0, []
    for count, (x, y) in enumerate(points, start=1):
        average = keep * average + (1 - keep) * y
        smooth.append((x, average / (1 - keep**count)))
    return _thinned(smooth)
