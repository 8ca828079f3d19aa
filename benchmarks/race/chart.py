"""The chart of the benchmarks: horizontal bars as SVG, which follows a light or dark page by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, LEFT, RIGHT, TOP = 860, 220, 70, 14
BAR, GAP, TITLE, TEXT = 15, 4, 26, 40
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; }
.peer { fill: #9aa4af; } .fast { fill: #1f6feb; } .reference { fill: #7fb2f5; }
.one { stroke: #57606a; stroke-dasharray: 3 3; } .aim { stroke: #cf222e; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #d0d7de; } .peer { fill: #6e7781; } .reference { fill: #38618f; } .one { stroke: #8b949e; }
}
"""

Group = tuple[str, Mapping[str, float], float]
"""Title, ratio by contestant, and the ratio aimed at."""


def bars(groups: Sequence[Group], titles: Mapping[str, str]) -> str:
    """One group of bars a workload; the dashed line is the best peer, the red mark what Luthier aims at.

    Args:
        groups: the workloads.
        titles: names of the contestants on the page.
    """
    highest = max([1.0, *(max(*ratios.values(), aim) for _, ratios, aim in groups)])
    scale = (WIDTH - LEFT - RIGHT) / highest
    parts: list[str] = []
    y = float(TOP)
    for title, ratios, aim in groups:
        parts.append(f'<text class="title" x="8" y="{y + 14:.0f}">{escape(title)}</text>')
        y += TITLE
        start = y
        for name, ratio in ratios.items():
            marks = [LEFT + scale, *[LEFT + aim * scale] * (name == "fast")]
            parts.append(_bar(name, titles[name], ratio * scale, y, f"{ratio:.2f}x", marks))
            y += BAR + GAP
        parts.append(_line("one", LEFT + scale, start - 3, y))
        if "fast" in ratios:
            parts.append(_line("aim", LEFT + aim * scale, start - 2, start + BAR + 2))
        y += GAP * 3
    label = "Rows per second of every contestant, as a multiple of the best peer's"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" role="img" aria-label="{label}">'
        f"<style>{STYLE}</style>{''.join(parts)}</svg>\n"
    )


def _bar(name: str, title: str, width: float, y: float, text: str, marks: Sequence[float]) -> str:
    """A bar with its text behind it, moved behind a mark that it would lie on."""
    style = name if name in ("fast", "reference") else "peer"
    at = LEFT + width + 6
    for mark in sorted(marks):
        at = mark + 6 if at - 3 < mark < at + TEXT else at
    return (
        f'<text x="{LEFT - 8}" y="{y + 12:.0f}" text-anchor="end">{escape(title)}</text>'
        f'<rect class="{style}" x="{LEFT}" y="{y:.0f}" width="{width:.1f}" height="{BAR}"/>'
        f'<text x="{at:.1f}" y="{y + 12:.0f}">{text}</text>'
    )


def _line(style: str, x: float, top: float, bottom: float) -> str:
    return f'<line class="{style}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.0f}" y2="{bottom:.0f}"/>'
