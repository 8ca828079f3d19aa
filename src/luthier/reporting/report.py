"""report.html: one self-contained page about a run, made from nothing but the run's folder."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from ruamel.yaml import YAML

from luthier.data.ledger import Entry, read_ledger, summarise
from luthier.diagnosis import diagnose
from luthier.evaluation import formatting
from luthier.evaluation.results import primary
from luthier.evaluation.speed import describe_speed
from luthier.evaluation.statistics import outcome
from luthier.evaluation.verdict import verdict
from luthier.languages import Language, retell, speaking, spoken, tell
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


def write_report(run: Run, language: Language | None = None) -> Path:
    """Writes the run's report.html, atomically, and returns its path.

    Whatever the run does not have yet (scores, validation, a ledger) is left out. Everything from the data and the
    models is escaped.

    Args:
        run: the run.
        language: what it is written in; None = what the run's configuration says.
    """
    write_text(run.report, render_report(run, language))
    return run.report


def render_report(run: Run, language: Language | None = None) -> str:
    """The page as HTML text."""
    config = run.config_file.read_text(encoding="utf-8")
    settings = YAML(typ="safe").load(config)
    with speaking(language or settings.get("language", "en")):
        return templates().get_template("report.html.jinja").render(_context(run, config, settings))


def _context(run: Run, config: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the template is filled with."""
    events = list(read_events(run.path / "events.jsonl"))
    results: dict[str, Any] | None = read_json(run.metrics_file) if run.metrics_file.exists() else None
    record = run.record
    return {
        "run": _about(run, record, settings),
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
        "code": _code,
    }
    environment.globals |= {"outcome": outcome, "models": models, "signatures": signatures, "missing": missing}
    environment.globals |= {"tell": tell, "retell": retell, "spoken": spoken}
    return environment


def _about(run: Run, record: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What stands at the top of the page."""
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
        "split": tell(results["primary"]["split"]),
        "tiles": list(comparison["tuned"])[:4],
        "whiskers": whiskers(comparison, metric) if metric else None,
        "comparisons": [
            (tell(split), tell(formatting.MODES.get(mode, mode)), c) for split, mode, c in ordered(results)
        ],
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
        counts = {"trained": _count(record["trainable"]), "all": _count(record["parameters"])}
        of_all = formatting.share(record["trainable"] / record["parameters"])
        facts.append((tell("trained"), tell("{trained} of {all} parameters ({share})", **counts, share=of_all)))
    if record.get("frozen_mb"):
        facts.append((tell("frozen weights"), f"{_count(round(record['frozen_mb']))} MB, {_held(record)}"))
    mix = record.get("mix", [])[:_MOST_SHARES]
    facts += [(tell("rows of {group}", group=each["name"]), _seen(each)) for each in mix]
    found = record.get("method_report", {})
    facts += [(tell(name), retell(text)) for name, text in found.items() if isinstance(text, str)]
    facts += [(tell(name), _reasoned(record, name)) for name in ("device", "dtype", "engine")]
    facts += _course(record, [event for event in events if event["kind"] == "step"])
    facts.append((tell("answers"), describe_speed(record)))
    if record.get("peak_memory_mb"):
        facts.append((tell("peak memory"), f"{_count(round(record['peak_memory_mb']))} MB"))
    return [(name, text) for name, text in facts if text]


def _course(record: Mapping[str, Any], steps: Sequence[Event]) -> list[tuple[str, str | None]]:
    """How many steps there were, and how long they took."""
    if not steps:
        return []
    last, done = steps[-1], _count(steps[-1]["step"])
    planned = record.get("steps")
    facts: list[tuple[str, str | None]] = [
        (tell("steps"), tell("{done} of {all}", done=done, all=_count(planned)) if planned else done)
    ]
    if last.get("seconds"):
        facts.append((tell("training"), _duration(last["seconds"])))
    if last.get("seconds") and last.get("tokens"):
        facts.append((tell("speed"), f"{_count(round(last['tokens'] / last['seconds']))} tokens/s"))
    return facts


def _seen(share: Mapping[str, Any]) -> str:
    """How often the rows of a label or a source were drawn."""
    return tell(
        "{rows}, each {repeats:.2f} times an epoch, {epochs:.2f} times in all",
        rows=_count(share["rows"]),
        repeats=share["repeats"],
        epochs=share["epochs"],
    )


def _held(record: Mapping[str, Any]) -> str:
    """In which type the base's weights are held."""
    quantise = record.get("base", {}).get("quantise", "none")
    return str(record.get("dtype", "")) if quantise == "none" else tell("layers in {type}", type=quantise)


def _reasoned(record: Mapping[str, Any], name: str) -> str | None:
    reason = record.get(f"{name}_reason")
    return f"{record[name]}: {retell(reason)}" if reason and record.get(name) else record.get(name)


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


def _code(text: str) -> Markup:
    """What stands between backticks as code; everything is escaped."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _moment(value: float | str | None) -> str | None:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(value)) if isinstance(value, int | float) else value


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return tell("{hours} h {minutes} min", hours=hours, minutes=minutes)
    return tell("{minutes} min {rest} s", minutes=minutes, rest=rest) if minutes else tell("{rest} s", rest=rest)
