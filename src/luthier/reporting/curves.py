"""The course of a run: its events as charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from luthier import registry
from luthier.languages import tell
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
    best = max((event["step"] for event in events if event["kind"] == "checkpoint" and event.get("best")), default=None)
    steps = [event for event in events if event["kind"] == "step"]
    validation = _validation(events)
    charts = {tell("Loss"): _loss(_points(steps, "loss"), validation.pop("loss", {}))}
    charts |= _scores(validation)
    found = [Curve(title, line_chart(title, lines, best)) for title, lines in charts.items() if lines]
    rate = _thinned(_points(steps, "learning_rate"))
    if not rate:
        return found
    title = tell("Learning rate")
    return [*found, Curve(title, line_chart(title, [Series(title, rate, "s0")]))]


def _loss(training: Sequence[Point], measured: Mapping[str, Sequence[Point]]) -> list[Series]:
    lines = [
        Series(tell("training, mean since the last evaluation"), points, "s2", dots=True)
        if split == "train"
        else Series(tell(split), points, "s1", dots=True)
        for split, points in measured.items()
    ]
    if not training:
        return lines
    each, smooth = _thinned(training), _smoothed(training)
    return [
        Series(tell("training, each step"), each, "faint"),
        Series(tell("training, smoothed"), smooth, "s0"),
        *lines,
    ]


def _scores(validation: Mapping[str, Mapping[str, Sequence[Point]]]) -> dict[str, list[Series]]:
    """Metrics between -1 and 1 share a chart; each other one has its own, which training and validation share."""
    charts: dict[str, list[Series]] = {}
    for metric, lines in validation.items():
        for split, points in lines.items():
            name = _name(metric, split)
            shared = all(-1 <= y <= 1 for _, y in points)
            title = _name(metric, "validation") if split == "train" else name
            chart = charts.setdefault(tell("Validation") if shared else title, [])
            chart.append(Series(name, points, f"s{len(chart) % 6}", dots=True))
    return charts


def _name(metric: str, split: str) -> str:
    """The metric as scores call it, and the split unless it is the usual one."""
    title = metric_title(metric)
    return title if split == "validation" else tell(", ").join([title, tell(split)])


def metric_title(name: str) -> str:
    """A metric, or one of a part of answers (PART/METRIC), as scores call it."""
    part, _, metric = name.rpartition("/")
    title = tell(registry.load("metric", metric).title if metric in registry.names("metric") else metric)
    return f"{part}: {title}" if part else title


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
