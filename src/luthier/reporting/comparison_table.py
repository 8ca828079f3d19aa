"""Runs side by side as people read them: the same cells in the terminal, in Markdown and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from luthier.evaluation.formatting import number, p_value, share, signed, span
from luthier.languages import retell, tell
from luthier.reporting.claims import Claim, claims
from luthier.reporting.side_by_side import RunFacts

HEADINGS = (
    "run", "method", ">score", ">to the first", ">base", ">trained", ">artefact", ">training", ">peak memory",
    ">an answer", "numbers",
)  # fmt: skip
"""Columns; those that begin with `>` are aligned to the right."""

ANSWERS = {True: "yes", False: "no", None: "not measured"}
"""Whether a claim holds."""

LEGEND = (
    "Scores with 95 % intervals. Differences are paired: both models on the same test rows, resampled together. "
    "Trained: parameters, and their share of all. Artefact: weights on disk, and their share of the base's. Training: "
    "seconds of all steps, and of one. Peak memory: of the process. An answer: milliseconds a test row in the deciding "
    "way of asking, unmerged, and by the base."
)


@dataclass(frozen=True)
class Comparison:
    """Runs side by side, what they say about what people repeat, and why there are no more of them."""

    runs: list[RunFacts]
    claims: list[Claim]
    refused: list[str]

    @classmethod
    def of(cls, runs: Sequence[RunFacts], refused: Sequence[str] = ()) -> Comparison:
        """Of runs that were read, and sentences about those that there are none of."""
        return cls(list(runs), claims(runs), list(refused))

    @property
    def notes(self) -> list[str]:
        """What could not be trained, why some runs have no difference, and what was measured afterwards."""
        first = self.runs[0].name
        told = [retell(why) for why in self.refused]
        told += [
            tell("{run} is not compared with {first}: {why}", run=run.name, first=first, why=retell(run.unpaired))
            for run in self.runs
            if run.unpaired
        ]
        return told + [f"{run.name}: {_latency(run.latency)}" for run in self.runs if run.latency]

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values."""
        return {
            "runs": [run.to_dict() for run in self.runs],
            "claims": [asdict(claim) for claim in self.claims],
            "notes": self.notes,
        }


def headings() -> list[tuple[str, bool]]:
    """The columns' names, and whether they are aligned to the right."""
    return [(tell(heading.removeprefix(">")), heading.startswith(">")) for heading in HEADINGS]


def cells(run: RunFacts) -> list[tuple[str, str]]:
    """A run's cells, each as (what counts, what stands below it), in the order of `HEADINGS`."""
    difference, base = run.difference, run.base_score
    return [
        (run.name, run.task),
        (run.method, tell("learning rate {rate:g}", rate=run.learning_rate)),
        (f"{tell(run.metric)} {number(run.score['value'])}", span(run.score)),
        (signed(difference["value"]), tell(", ").join([span(difference, sign=True), p_value(difference["p"])]))
        if difference
        else ("", tell("other rows") if run.unpaired else ""),
        (number(base["value"]), span(base)) if base else ("", ""),
        (f"{run.trainable:,}", share(run.share)),
        (f"{run.artefact_mb:.1f} MB", share(run.artefact_mb / run.base_mb) if run.base_mb else ""),
        (f"{run.training_seconds:.0f} s", tell("{seconds:.3f} s a step", seconds=run.step_seconds)),
        (f"{run.peak_memory_mb:,.0f} MB", ""),
        (
            f"{run.answer_ms:.1f} ms" if run.answer_ms else "",
            tell("base {ms:.1f} ms", ms=run.base_answer_ms) if run.base_answer_ms else "",
        ),
        (
            run.dtype if run.quantise == "none" else f"{run.quantise}, {run.dtype}",
            tell("{engine} engine", engine=run.engine),
        ),
    ]


def markdown(comparison: Comparison) -> str:
    """The comparison as Markdown."""
    found = headings()
    rules = ["---:" if right else "---" for _, right in found]
    rows = [[_cell(*cell) for cell in cells(run)] for run in comparison.runs]
    lines = [_row([name for name, _ in found]), _row(rules), *(_row(row) for row in rows), "", tell(LEGEND)]
    if comparison.claims:
        lines += ["", _row([tell("claim"), tell("runs"), tell("measured"), tell("holds")]), _row(["---"] * 4)]
        lines += [_row([c.statement, c.about, c.measured, tell(ANSWERS[c.holds])]) for c in comparison.claims]
    lines += ["", *(f"- {note}" for note in comparison.notes)] if comparison.notes else []
    return "\n".join(lines) + "\n"


def page(comparison: Comparison) -> str:
    """The comparison as one self-contained HTML page."""
    from luthier.reporting.report import templates

    return (
        templates()
        .get_template("comparison.html.jinja")
        .render(
            headings=headings(),
            rows=[cells(run) for run in comparison.runs],
            comparison=comparison,
            answers=ANSWERS,
            legend=LEGEND,
        )
    )


def _cell(value: str, below: str) -> str:
    return f"{value} ({below})" if value and below else value or below


def _row(values: Sequence[str]) -> str:
    return "| " + " | ".join(value.replace("|", "\\|").replace("\n", " ") for value in values) + " |"


def _latency(measured: Mapping[str, Any]) -> str:
    merged = measured["merged_ms"]
    if merged is None:
        told = tell("not merged ({why})", why=retell(measured["unmerged_only"]))
    else:
        told = tell("{ms:.1f} ms merged", ms=merged)
    return tell(
        "{base_ms:.1f} ms an answer by the base, {unmerged_ms:.1f} ms unmerged, {merged} ({rows} rows by '{mode}' in "
        "{dtype})",
        merged=told,
        **{name: measured[name] for name in ("base_ms", "unmerged_ms", "rows", "mode", "dtype")},
    )
