"""Reliability diagrams: how often a model is right when it is so sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from luthier.evaluation.metrics.ece import Bin
from luthier.languages import tell

SIZE, LEFT, BOTTOM, EDGE = 300, 42, 34, 14
LARGEST = 11
"""Radius of a bin that has all rows; areas are in proportion to rows."""

_STYLES = {"base": "s1", "tuned": "s0"}


def reliability_charts(comparison: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """(model, diagram) of the base and the tuned model, where labels were scored."""
    found: Mapping[str, Sequence[Bin]] = comparison.get("reliability", {})
    return [(tell(name), _diagram(tell(name), found[name], style)) for name, style in _STYLES.items() if name in found]


def _x(share: float) -> float:
    return round(LEFT + share * (SIZE - LEFT - EDGE), 1)


def _y(share: float) -> float:
    return round(SIZE - BOTTOM - share * (SIZE - BOTTOM - EDGE), 1)


def _diagram(name: str, bins: Sequence[Bin], style: str) -> Markup:
    rows = sum(each["rows"] for each in bins)
    dot = Markup('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>')
    dots = [
        dot.format(
            style,
            _x(each["confidence"]),
            _y(each["right"]),
            round(max(LARGEST * (each["rows"] / rows) ** 0.5, 2), 1),
            tell("{rows} rows: {confidence:.0%} sure, {right:.0%} right", **each),
        )
        for each in bins
    ]
    return Markup('<svg class="chart reliability" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        SIZE,
        SIZE,
        tell("How often {model} is right when it is so sure", model=name),
        Markup("").join([*_frame(), *dots]),
    )


def _frame() -> list[Markup]:
    """Grid, diagonal and axes."""
    level = Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>')
    text = Markup('<text x="{}" y="{}" text-anchor="{}">{:g}</text>')
    marks = (0.0, 0.25, 0.5, 0.75, 1.0)
    parts = [level.format(_x(0), _x(1), _y(mark), _y(mark)) for mark in marks]
    parts += [text.format(LEFT - 6, _y(mark) + 4, "end", mark) for mark in marks]
    parts += [text.format(_x(mark), SIZE - BOTTOM + 15, "middle", mark) for mark in marks]
    parts.append(Markup('<line class="marker" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_x(0), _x(1), _y(0), _y(1)))
    across = Markup('<text class="axis" x="{}" y="{}" text-anchor="end">{}</text>')
    up = Markup('<text class="axis" x="{}" y="{}">{}</text>')
    parts.append(across.format(_x(1), SIZE - 3, tell("how sure")))
    parts.append(up.format(_x(0) + 5, _y(1) + 12, tell("how often right")))
    return parts
