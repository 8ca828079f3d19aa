"""report.html: one self-contained page about a run, made from nothing but the run's folder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from ruamel.yaml import YAML

from luthier.data.ledger import Entry, read_ledger, summarise
from luthier.diagnosis import diagnose
from luthier.evaluation import formatting
from luthier.evaluation.results import primary
from luthier.evaluation.speed import describe_speed
from luthier.evaluation.statistics import outcome
from luthier.evaluation.verdict import verdict
from luthier.reporting.answers import answers_over_time, sample_groups
from luthier.reporting.curves import curves
from luthier.reporting.reliability import reliability_charts
from luthier.reporting.scores import confusions, models, whiskers
from luthier.reporting.tables import missing, ordered, signatures
from luthier.runs import Event, Run, read_events
from luthier.runs.files import read_json, write_text
from luthier.runs.packages import PREFIX

_QUARANTINED = 12
_MOST_SHARES = 20
_ENVIRONMENT = ("versions", "processor", "base", "template_digest", "tokenizer_digest", "data")
"""Parts of run.json that say with what a run was made."""


def write_report(run: Run) -> Path:
    """Writes the run's report.html, atomically, and returns its path.

    Whatever the run does not have yet (scores, validation, a ledger) is left out. Everything from the data and the
    models is escaped.
    """
    write_text(run.report, render_report(run))
    return run.report


def render_report(run: Run) -> str:
    """The page as HTML text."""
    events = list(read_events(run.path / "events.jsonl"))
    results: dict[str, Any] | None = read_json(run.metrics_file) if run.metrics_file.exists() else None
    config = run.config_file.read_text(encoding="utf-8")
    record = run.record
    context = {
        "run": _about(run, record, config),
        "verdict": verdict(results) if results else None,
        "results": _results(results) if results else None,
        "findings": diagnose(run, quick=True).findings,
        "curves": curves(events),
        "over_time": answers_over_time(events),
        "groups": sample_groups(run.predictions_file, results) if results and run.predictions_file.exists() else [],
        "ledger": summarise(run.ledger_file) if run.ledger_file.exists() else None,
        "cleaning": read_json(run.cleaning_file) if run.cleaning_file.exists() else [],
        "quarantined": _quarantined(run.ledger_file) if run.ledger_file.exists() else [],
        "warnings": [*record.get("notes", []), *_warnings(events)],
        "config": config,
        "facts": _facts(record, events),
        "environment": list(_flat({name: record[name] for name in _ENVIRONMENT if name in record})),
    }
    return templates().get_template("report.html.jinja").render(context)


def templates() -> Environment:
    """The templates of this package, with what they share."""
    environment = Environment(
        loader=PackageLoader("luthier.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": formatting.number,
        "signed": formatting.signed,
        "span": formatting.span,
        "p_value": formatting.p_value,
        "share": formatting.share,
        "count": _count,
    }
    environment.globals |= {"outcome": outcome, "models": models, "signatures": signatures, "missing": missing}
    return environment


def _about(run: Run, record: Mapping[str, Any], config: str) -> dict[str, Any]:
    """What stands at the top of the page."""
    settings = YAML(typ="safe").load(config)
    base = record.get("base", {}).get("source") or settings["model"]["base"]
    return {
        "name": settings.get("name", "run"),
        "id": run.path.name,
        "base": base.removeprefix(PREFIX) if base.startswith(PREFIX) else Path(base).name,
        "task": _plugin(settings.get("task", "causal_lm")),
        "method": _plugin(settings.get("method", "lora")),
        "state": record.get("state", "planned"),
        "finished": _moment(record.get("finished")),
        "seconds": _duration(record.get("seconds")),
    }


def _plugin(value: Any) -> str:
    return str(value["name"] if isinstance(value, dict) else value).replace("_", " ")


def _results(results: Mapping[str, Any]) -> dict[str, Any]:
    comparison, metric = primary(results), results["primary"]["metric"]
    return {
        "primary": comparison,
        "split": results["primary"]["split"],
        "tiles": list(comparison["tuned"])[:4],
        "whiskers": whiskers(comparison, metric) if metric else None,
        "comparisons": [(split, formatting.MODES.get(mode, mode), c) for split, mode, c in ordered(results)],
        "confusions": confusions(comparison),
        "reliability": reliability_charts(comparison),
        "forgetting": results.get("forgetting"),
        "classes": _side_by_side(comparison.get("per_class", {})),
    }


def _side_by_side(per_class: Mapping[str, list[Any]]) -> list[tuple[Any, Any]]:
    """Scores of each class as (base or None, tuned)."""
    tuned = per_class.get("tuned", [])
    return list(zip(per_class.get("base", [None] * len(tuned)), tuned, strict=True))


def _quarantined(ledger: Path) -> list[Entry]:
    return list(islice((entry for entry in read_ledger(ledger) if entry.fate == "quarantined"), _QUARANTINED))


def _warnings(events: Sequence[Event]) -> list[str]:
    """Messages of warnings, and of a state such as failed; each once."""
    told = [event.get("message") for event in events if event["kind"] in ("warning", "state")]
    return list(dict.fromkeys(message for message in told if message))


def _facts(record: Mapping[str, Any], events: Sequence[Event]) -> list[tuple[str, str]]:
    """How it ran, as (what, how)."""
    facts: list[tuple[str, str | None]] = []
    if record.get("parameters"):
        of_all = formatting.share(record["trainable"] / record["parameters"])
        facts.append(
            ("trained", f"{_count(record['trainable'])} of {_count(record['parameters'])} parameters ({of_all})")
        )
    if record.get("frozen_mb"):
        facts.append(("frozen weights", f"{_count(round(record['frozen_mb']))} MB, {_held(record)}"))
    facts += [("rows of " + each["name"], _seen(each)) for each in record.get("mix", [])[:_MOST_SHARES]]
    facts += [(name, text) for name, text in record.get("method_report", {}).items() if isinstance(text, str)]
    facts += [(name, _reasoned(record, name)) for name in ("device", "dtype", "engine")]
    steps = [event for event in events if event["kind"] == "step"]
    if steps:
        last = steps[-1]
        of_steps = f" of {_count(record['steps'])}" if record.get("steps") else ""
        facts.append(("steps", f"{_count(last['step'])}{of_steps}"))
        if last.get("seconds"):
            facts.append(("training", _duration(last["seconds"])))
        if last.get("seconds") and last.get("tokens"):
            facts.append(("speed", f"{_count(round(last['tokens'] / last['seconds']))} tokens/s"))
    facts.append(("answers", describe_speed(record)))
    if record.get("peak_memory_mb"):
        facts.append(("peak memory", f"{_count(round(record['peak_memory_mb']))} MB"))
    return [(name, text) for name, text in facts if text]


def _seen(share: Mapping[str, Any]) -> str:
    """How often the rows of a label or a source were drawn."""
    return f"{_count(share['rows'])}, each {share['repeats']:.2f} times an epoch, {share['epochs']:.2f} times in all"


def _held(record: Mapping[str, Any]) -> str:
    """In which type the base's weights are held."""
    quantise = record.get("base", {}).get("quantise", "none")
    return str(record.get("dtype", "")) if quantise == "none" else f"layers in {quantise}"


def _reasoned(record: Mapping[str, Any], name: str) -> str | None:
    reason = record.get(f"{name}_reason")
    return f"{record[name]}: {reason}" if reason and record.get(name) else record.get(name)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as (path, text); a list is one value."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value))
    elif value is not None:
        yield path, _count(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _count(value: int) -> str:
    """Thousands apart by narrow spaces that do not break: 1 000 000."""
    return f"{value:,}".replace(",", "\u202f")


def _moment(value: float | str | None) -> str | None:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(value)) if isinstance(value, int | float) else value


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
