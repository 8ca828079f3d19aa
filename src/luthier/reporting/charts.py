"""Charts as inline SVG. Colours are the page's CSS classes, so a chart follows light, dark and print by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from luthier.languages import tell

Point = tuple[float, float]

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 34


@dataclass(frozen=True)
class Series:
    """A line of a chart.

    Attributes:
        name: what the legend says.
        points: (x, y), in order of x.
        style: CSS class that gives colour and dashes: faint, or s0 to s5.
        dots: whether each point is marked.
    """

    name: str
    points: Sequence[Point]
    style: str
    dots: bool = False


@dataclass(frozen=True)
class _Frame:
    """Where values lie on the drawing."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        return round(LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        return round(TOP + (self.y_high - value) / (self.y_high - self.y_low) * (HEIGHT - TOP - BOTTOM), 1)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers, 1, 2 or 5 times a power of ten apart, from at or below `low` to at or above `high`."""
    rough = ((high - low) or abs(high) or 1.0) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def line_chart(title: str, series: Sequence[Series], marker: float | None = None) -> Markup:
    """Lines over the steps from 0, with a legend where there are several.

    Args:
        title: what is drawn, read out by screen readers.
        series: the lines, each with points.
        marker: step of a vertical line called "best".
    """
    xs = [x for line in series for x, _ in line.points]
    ys = [y for line in series for _, y in line.points]
    x_ticks, y_ticks = ticks(0, max(xs)), ticks(min(ys), max(ys))
    frame = _Frame(0, max(1, *xs), y_ticks[0], y_ticks[-1])
    parts = [_grid(frame, [x for x in x_ticks if x <= frame.x_high and x == round(x)], y_ticks)]
    if marker is not None and marker <= frame.x_high:
        parts.append(_marker(frame.x(marker)))
    parts += [_line(frame, line) for line in series]
    svg = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, title, Markup("").join(parts)
    )
    return _legend(series) + svg if len(series) > 1 else svg


def _legend(series: Sequence[Series]) -> Markup:
    keys = Markup("").join(Markup('<span class="key {}">{}</span>').format(line.style, line.name) for line in series)
    return Markup('<p class="legend">{}</p>').format(keys)


def _tick_text(value: float, step: float) -> str:
    """A tick as short as it can be and still told from the next one: 0.25, 150, 5e-4, 20k."""
    size = abs(value)
    if size < step / 2:
        return "0"
    if size < 0.001:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value / 1000:g}k" if size >= 10_000 else f"{value:.6g}"


def _grid(frame: _Frame, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> Markup:
    level = Markup(
        '<line class="grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/><text x="{3}" y="{4}" text-anchor="end">{5}</text>'
    )
    across = Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>')
    step = y_ticks[1] - y_ticks[0]
    parts = [
        level.format(LEFT, WIDTH - RIGHT, frame.y(y), LEFT - 7, frame.y(y) + 4, _tick_text(y, step)) for y in y_ticks
    ]
    parts += [across.format(frame.x(x), HEIGHT - BOTTOM + 16, _tick_text(x, 1)) for x in x_ticks]
    name = Markup('<text class="axis" x="{}" y="{}" text-anchor="end">{}</text>')
    return Markup("").join([*parts, name.format(WIDTH - RIGHT, HEIGHT - 3, tell("step"))])


def _marker(x: float) -> Markup:
    anchor, shift = ("end", -5) if x > WIDTH / 2 else ("start", 5)
    return Markup(
        '<line class="marker" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
        '<text class="axis" x="{3}" y="{4}" text-anchor="{5}">{6}</text>'
    ).format(x, TOP, HEIGHT - BOTTOM, x + shift, TOP + 9, anchor, tell("best"))


def _line(frame: _Frame, line: Series) -> Markup:
    places = [(frame.x(x), frame.y(y)) for x, y in line.points]
    path = Markup('<polyline class="{}" points="{}"/>').format(line.style, " ".join(f"{x},{y}" for x, y in places))
    if not line.dots and len(places) > 1:
        return path
    dot = Markup('<circle class="{}" cx="{}" cy="{}" r="3"><title>{}</title></circle>')
    return path + Markup("").join(
        dot.format(line.style, x, y, tell("{line}, step {step:g}: {value:.4g}", line=line.name, step=step, value=value))
        for (x, y), (step, value) in zip(places, line.points, strict=True)
    )
