"""Parts of an answer under headings, each scored by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from luthier import registry
from luthier.evaluation.comparison import compare
from luthier.evaluation.metrics import Metric
from luthier.evaluation.metrics._free import FreeMetric
from luthier.tasks import Prediction

USUAL = ("rouge_1", "rouge_2", "rouge_l")
"""What parts are scored by where the configuration names no metric of texts."""


def split_sections(text: str, headings: Mapping[str, str]) -> dict[str, str]:
    """The parts of a text by name: each from behind its heading up to the next heading, or to the end.

    Args:
        text: an answer.
        headings: a regular expression for each part; `^` is the beginning of a line. The first match counts.

    Returns:
        The parts whose heading is there.
    """
    found = [(name, re.search(heading, text, re.MULTILINE)) for name, heading in headings.items()]
    places = sorted((match.start(), match.end(), name) for name, match in found if match)
    ends = [*(start for start, _, _ in places), len(text)][1:]
    return {name: text[begin:end].strip() for (_, begin, name), end in zip(places, ends, strict=True)}


def section_answers(predictions: Sequence[Prediction], headings: Mapping[str, str]) -> dict[str, list[Prediction]]:
    """For every part, the rows whose right answer has it, with nothing but this part; an answer without it is empty."""
    found: dict[str, list[Prediction]] = {name: [] for name in headings}
    for row in predictions:
        said = split_sections(row.raw, headings)
        for name, expected in split_sections(row.expected or "", headings).items():
            part = said.get(name, "")
            found[name].append(replace(row, expected=expected, raw=part, parsed=part))
    return found


def section_metrics(names: Sequence[str]) -> tuple[str, ...]:
    """Those of some metrics that compare texts, or the usual ones."""
    return tuple(name for name in names if issubclass(registry.load("metric", name), FreeMetric)) or USUAL


def section_scores(
    predictions: Sequence[Prediction], headings: Mapping[str, str], metrics: Sequence[str]
) -> dict[str, float]:
    """{PART/METRIC: score} of the parts that right answers have."""
    scores = {}
    for part, rows in section_answers(predictions, headings).items():
        for name in section_metrics(metrics) if rows else ():
            metric: Metric = registry.load("metric", name)()
            scores[f"{part}/{name}"] = metric.value(rows, ())
    return scores


def compare_sections(
    base: Sequence[Prediction] | None,
    tuned: Sequence[Prediction],
    headings: Mapping[str, str],
    metrics: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """{PART: comparison} of the parts that right answers have.

    Each comparison also says under `missing` which share of the answers of `base` and `tuned` lacks the part.
    """
    parts = {"tuned": section_answers(tuned, headings)}
    if base is not None:
        parts["base"] = section_answers(base, headings)
    return {
        name: compare(parts["base"][name] if base is not None else None, rows, {}, section_metrics(metrics), (), seed)
        | {"missing": {model: _missing(found[name]) for model, found in parts.items()}}
        for name, rows in parts["tuned"].items()
        if rows
    }


def _missing(rows: Sequence[Prediction]) -> float:
    """Share of empty parts."""
    return sum(not row.raw for row in rows) / len(rows)
