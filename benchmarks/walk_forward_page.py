"""What runs over windows of time add to docs/results.md; kept in docs/walk-forward.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from accept_runs import ROOT

from luthier.evaluation.formatting import BASELINES, number, p_value, signed, span
from luthier.evaluation.statistics import outcome

RECORD = ROOT / "docs" / "walk-forward.json"


def keep(name: str, entry: dict[str, Any]) -> None:
    """Puts a run among those of earlier calls."""
    RECORD.write_text(json.dumps(kept() | {name: entry}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def kept() -> dict[str, Any]:
    """All runs by name."""
    found: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    return found


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """What the page needs of `luthier walk-forward --json`."""
    records = [json.loads((ROOT / window["run"] / "run.json").read_text()) for window in found["windows"]]
    windows = [
        {key: window[key] for key in ("test_from", "until", "scores")}
        | {"train_rows": record["data"]["rows"]["train"], "steps": record["steps"], "seconds": record["seconds"]}
        for window, record in zip(found["windows"], records, strict=True)
    ]
    comparison = {key: found["comparison"][key] for key in ("rows", "metrics", "base", "tuned", "baselines", "margins")}
    machine = {"processor": records[0]["processor"]["name"], "dtype": records[0]["dtype"]}
    return {"metric": found["metric"], "windows": windows, "comparison": comparison} | machine


def sections() -> list[str]:
    """All runs as lines of the page."""
    return [line for name, entry in kept().items() for line in section(name, entry)]


def section(name: str, entry: Mapping[str, Any]) -> list[str]:
    """One run: its windows by the deciding metric, then all answers together by every metric."""
    seconds = sum(window["seconds"] for window in entry["windows"])
    return [
        f"## {name}",
        "",
        f"{entry['about']}. Walk-forward over {len(entry['windows'])} windows, {entry['comparison']['rows']} tested "
        f"rows; {seconds / 60:.0f} minutes, {entry['dtype']} on {entry['processor']}.",
        "",
        "```text",
        *entry["commands"],
        "```",
        "",
        *_windows(entry),
        "",
        "All answers together, with 95 % intervals:",
        "",
        *_together(entry["comparison"]),
        "",
        *_margins(entry["comparison"]),
        "",
    ]


def _windows(entry: Mapping[str, Any]) -> list[str]:
    names = list(entry["windows"][0]["scores"]["baselines"])
    titles = [f"{entry['metric']}, tuned", "base", *(BASELINES.get(name, name) for name in names)]
    lines = [f"| tested | trained on | test rows | {' | '.join(titles)} |", f"|---|---|---|{'---|' * len(titles)}"]
    for window in entry["windows"]:
        scores = window["scores"]
        cells = [_score(scores["tuned"]), _score(scores["base"]), *(_score(scores["baselines"].get(n)) for n in names)]
        dates = f"{window['test_from'][:10]} to {window['until'][:10]}"
        lines.append(f"| {dates} | {window['train_rows']:,} | {scores['rows']} | {' | '.join(cells)} |")
    return lines


def _together(comparison: Mapping[str, Any]) -> list[str]:
    metrics = comparison["metrics"]
    models = {"tuned": comparison["tuned"], "base": comparison["base"] or {}}
    models |= {BASELINES.get(name, name): scores for name, scores in comparison["baselines"].items()}
    return [
        f"| model | {' | '.join(facts['title'] for facts in metrics.values())} |",
        f"|---|{'---|' * len(metrics)}",
        *(
            f"| {name} | {' | '.join(_score(scores.get(metric)) for metric in metrics)} |"
            for name, scores in models.items()
            if scores
        ),
    ]


def _margins(comparison: Mapping[str, Any]) -> list[str]:
    """What the tuned model is ahead of each baseline by the deciding metric, and whether that may be chance."""
    metric, facts = next(iter(comparison["metrics"].items()))
    lines = []
    for name, margins in comparison["margins"].items():
        if margin := margins.get(metric):
            found = outcome(margin, facts["higher_is_better"])
            told = {"better": "clearly ahead", "worse": "clearly behind", "unclear": "no clear difference"}[found]
            detail = f"{signed(margin['value'])}, {span(margin, sign=True)}, {p_value(margin['p'])}"
            lines.append(f"- against *{BASELINES.get(name, name)}*: {told} in {facts['title']} ({detail})")
    return lines


def _score(score: Mapping[str, Any] | None) -> str:
    return f"{number(score['value'])} ({number(score['low'])}–{number(score['high'])})" if score else "–"
