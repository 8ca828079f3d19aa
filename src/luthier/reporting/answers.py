"""Answers worth reading: what tuning put right, what is still wrong, and how answers changed while it ran."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.evaluation.formatting import readable
from luthier.evaluation.text import normalise
from luthier.languages import tell
from luthier.reporting.curves import metric_title
from luthier.runs.events import Event
from luthier.tasks import Form

_LONGEST = 400
_MOST_STEPS = 6

TITLES = {
    (False, True): "Put right by tuning",
    (True, False): "Made wrong by tuning",
    (False, False): "Still wrong",
    (True, True): "Right before and after",
    (None, False): "Wrong",
    (None, True): "Right",
}
"""What a group is called, by whether the base (None without one) and the tuned model are right."""


@dataclass(frozen=True)
class Said:
    """One answer; `mark` is right, wrong, invalid, or plain when it cannot be told."""

    text: str
    mark: str


@dataclass(frozen=True)
class Sample:
    """A row and the answers to it, one for each heading of its group; None where there is none."""

    prompt: str
    expected: str | None
    answers: Sequence[Said | None]


@dataclass(frozen=True)
class Group:
    """Samples of one kind, the headings of their answers, and how many rows of this kind there are.

    `scores` has a line for each metric of these answers: its name, and its value under each heading, if there is one.
    """

    title: str
    headings: Sequence[str]
    samples: Sequence[Sample]
    count: int
    scores: Sequence[tuple[str, Sequence[float | None]]] = ()


def sample_groups(predictions: Path, results: Mapping[str, Any], each: int = 5) -> list[Group]:
    """Rows of the primary split, base beside tuned: by what tuning changed with labels, else just some of them.

    Args:
        predictions: predictions.jsonl.
        results: the content of metrics.json.
        each: samples shown of a group.
    """
    split = results["primary"]["split"]
    for mode, comparison in _primary_first(results).items():
        rows = _by_row(predictions, split, mode)
        form = comparison.get("form", "plain")
        if any(models["tuned"]["raw"] or form == "labels" for models in rows):
            return _grouped(rows, form, labelled="classes" in comparison or form in ("labels", "tags"), each=each)
    return []


def answers_over_time(events: Sequence[Event]) -> Group | None:
    """The sampled rows with their answers at up to six evaluations, the first and the last among them."""
    sampled = {event["step"]: event["rows"] for event in events if event["kind"] == "samples" and event["rows"]}
    if not sampled:
        return None
    steps = _spread(sorted(sampled), _MOST_STEPS)
    prompts = {row["prompt"]: row.get("expected") for step in steps for row in sampled[step]}
    at = {(step, row["prompt"]): row for step in steps for row in sampled[step]}
    samples = [
        Sample(_short(prompt), expected, [_said_then(at.get((step, prompt))) for step in steps])
        for prompt, expected in prompts.items()
    ]
    headings = [tell("step {step}", step=step) for step in steps]
    return Group(tell("Answers while it ran"), headings, samples, len(samples), _scores_over_time(events, steps))


def _scores_over_time(events: Sequence[Event], steps: Sequence[int]) -> list[tuple[str, Sequence[float | None]]]:
    """The scores of the sampled answers at some steps."""
    at = {
        event["step"]: event["metrics"]
        for event in events
        if event["kind"] == "evaluation" and event["split"] == "samples"
    }
    names = dict.fromkeys(name for step in steps for name in at.get(step, {}))
    return [(metric_title(name), [at.get(step, {}).get(name) for step in steps]) for name in names]


def _primary_first(results: Mapping[str, Any]) -> dict[str, Any]:
    split, mode = results["primary"]["split"], results["primary"]["mode"]
    modes: dict[str, Any] = results["results"][split]
    return {mode: modes[mode]} | modes


def _by_row(predictions: Path, split: str, mode: str) -> list[dict[str, dict[str, Any]]]:
    """For each row the lines of the base and of the tuned model, by model."""
    rows: dict[int, dict[str, dict[str, Any]]] = {}
    with predictions.open(encoding="utf-8") as file:
        for text in file:
            line = json.loads(text)
            if (line["split"], line["mode"]) == (split, mode) and line["model"] in ("base", "tuned"):
                rows.setdefault(line["row_id"], {})[line["model"]] = line
    return [models for models in rows.values() if "tuned" in models]


def _grouped(rows: Sequence[dict[str, dict[str, Any]]], form: Form, *, labelled: bool, each: int) -> list[Group]:
    asked = [name for name in ("base", "tuned") if any(name in models for models in rows)]
    groups: dict[str, list[Sample]] = {title: [] for title in (*TITLES.values(), "Answers")}
    for models in rows:
        answers = {name: _said(models[name], form, labelled) for name in asked if name in models}
        base_right = answers["base"].mark == "right" if "base" in answers else None
        title = TITLES[base_right, answers["tuned"].mark == "right"] if labelled else "Answers"
        prompt, expected = models["tuned"]["prompt"], models["tuned"]["expected"]
        shown = expected if expected is None else readable(prompt, expected, form)
        groups[title].append(Sample(_short(prompt), shown, [answers.get(name) for name in asked]))
    headings = [tell(name) for name in asked]
    return [Group(tell(title), headings, found[:each], len(found)) for title, found in groups.items() if found]


def _said(line: Mapping[str, Any], form: Form, labelled: bool) -> Said:
    mark = _mark(line["parsed"], line["expected"], line["valid"], exactly=form != "plain")
    shown = mark if labelled or mark != "wrong" else "plain"
    return Said(_short(readable(line["prompt"], line["raw"], form)), shown)


def _said_then(row: Mapping[str, Any] | None) -> Said | None:
    return (
        Said(_short(row["answer"]), _mark(row["answer"], row.get("expected"), row.get("valid", True))) if row else None
    )


def _mark(answer: str | None, expected: str | None, valid: bool, *, exactly: bool = False) -> str:
    if expected is None:
        return "plain"
    if not valid or answer is None:
        return "invalid"
    same = answer == expected or (not exactly and normalise(answer) == normalise(expected))
    return "right" if same else "wrong"


def _spread(steps: Sequence[int], most: int) -> list[int]:
    """At most so many steps, evenly chosen, with the first and the last."""
    if len(steps) <= most:
        return list(steps)
    return [steps[round(index * (len(steps) - 1) / (most - 1))] for index in range(most)]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + " …"
