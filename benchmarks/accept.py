"""The long accuracy runs, `make accept`: real models on real data, each by its recipe, planned first and then trained.

Writes docs/results.md: for every run its command, its scores beside the base's and the baselines', and what the plan
foretold against what happened. A score below its bar makes the command fail. Takes about four hours on two cores.

    python benchmarks/accept.py [NAME ...]      only these runs; the others keep the lines of an earlier call
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import walk_forward_page
from accept_runs import LUTHIER, MEAN, RECIPES, ROOT, RUNS, SEEDS, Run, placed

from luthier import registry

RECORD = ROOT / "docs" / "results.json"
PAGE = ROOT / "docs" / "results.md"


def main(names: list[str]) -> int:
    """Runs what is asked for and writes the page."""
    record = recorded()
    failed: list[str] = []
    for run in RUNS:
        if names and run.name not in names:
            continue
        plan, result = call("plan", run), call("train", run)
        record[run.name] = entry = summarise(plan, result)
        RECORD.write_text(json.dumps(record, indent=2) + "\n")
        write_page()
        failed += missed(run, entry)
    failed += [f"the mean over seeds: {m} {v:.3f} < {MEAN[m]}" for m, v in means(record).items() if v < MEAN[m]]
    print("\n".join(failed) or "every bar was reached")
    return bool(failed)


def recorded() -> dict[str, Any]:
    """What earlier calls left."""
    found: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    return found


def write_page() -> None:
    """docs/results.md from what is recorded."""
    PAGE.write_text(page(recorded(), walk_forward_page.sections()), encoding="utf-8")


def missed(run: Run, entry: dict[str, Any]) -> list[str]:
    """The bars that a run did not reach."""
    tuned = entry["tuned"]
    found = [f"{run.name}: {m} {tuned[m]['value']:.3f} < {b}" for m, b in run.bars.items() if tuned[m]["value"] < b]
    for metric, bar in run.above.items():
        beside = {"base": entry["base"], **entry["baselines"]}
        level = beside[bar][metric]["value"] if isinstance(bar, str) else bar
        if tuned[metric]["low"] <= level:
            found.append(f"{run.name}: the lower end of {metric}, {tuned[metric]['low']:.3f}, is not above {bar}")
    return found


def means(record: dict[str, Any]) -> dict[str, float]:
    """The mean over the seeds by metric, when all of them were run."""
    if any(name not in record for name in SEEDS):
        return {}
    return {metric: fmean(record[name]["tuned"][metric]["value"] for name in SEEDS) for metric in MEAN}


def call(command: str, run: Run) -> dict[str, Any]:
    """One command of Luthier as a user would give it, with --json."""
    recipe = placed(run.recipe) if "/" in run.recipe else RECIPES / f"{run.recipe}.yaml"
    settings = [*map(placed, run.settings), "output=runs/accept"]
    overrides = [part for setting in settings for part in ("--set", setting)]
    print(f"luthier {command} {run.recipe} {' '.join(run.settings)}", file=sys.stderr, flush=True)
    done = subprocess.run(
        [LUTHIER, command, recipe, *overrides, "--json"], stdout=subprocess.PIPE, check=True, cwd=ROOT
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def summarise(plan: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """What the page needs of a run."""
    metrics, record = result["metrics"], result["record"]
    modes = metrics["results"][metrics["primary"]["split"]]
    primary = modes[metrics["primary"]["mode"]]
    return {
        "rows": primary["rows"],
        "mode": metrics["primary"]["mode"],
        "base": primary["base"],
        "tuned": primary["tuned"],
        "baselines": primary["baselines"],
        "invalid": {
            mode: values["tuned"]["invalid"]["value"] for mode, values in modes.items() if "invalid" in values["tuned"]
        },
        "generated": modes.get("generate", {}).get("tuned"),
        "processor": record["processor"]["name"],
        "dtype": record["dtype"],
        "steps": record["steps"],
        "trainable": record["trainable"],
        "memory": {"plan": plan["memory_mb"], "run": record["peak_memory_mb"]},
        "seconds": {"plan": plan["seconds"]["all"], "run": record["seconds"]},
    }


def score(values: dict[str, Any] | None, metric: str) -> str:
    """A score with its interval."""
    if not values or metric not in values:
        return "–"
    found = values[metric]
    return f"{found['value']:.3f} ({found['low']:.3f}–{found['high']:.3f})"


def page(record: dict[str, Any], walked: Sequence[str] = ()) -> str:
    """docs/results.md; `walked` are the lines about windows of time."""
    lines = [
        "# Results",
        "",
        "Written by `make accept` (`benchmarks/accept.py`): real models on real data, by the recipes with only paths",
        "changed. Intervals are 95 % bootstrap intervals over the test rows. `DATA` is the folder of the data sets,",
        "`{fingpt}`, `{t5}` and `{sentfin}` are folders that `benchmarks/` makes (`benchmarks/accept_runs.py`).",
        "",
    ]
    for run in RUNS:
        if run.name in record:
            lines += section(run, record[run.name])
    for metric, value in means(record).items():
        title = registry.load("metric", metric).title
        told = f"Mean {title} of {', '.join(SEEDS)}: **{value:.3f}**. Bar: at least {MEAN[metric]}."
        lines += ["## Mean over seeds", "", told, ""]
    lines += [
        *walked,
        "## Plan against run",
        "",
        "| run | peak memory, plan | run | ratio | time, plan | run | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, entry in record.items():
        memory, seconds = entry["memory"], entry["seconds"]
        lines.append(
            f"| {name} | {memory['plan']:,.0f} MB | {memory['run']:,.0f} MB | {memory['plan'] / memory['run']:.2f} "
            f"| {seconds['plan']:,.0f} s | {seconds['run']:,.0f} s | {seconds['plan'] / seconds['run']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def section(run: Run, entry: dict[str, Any]) -> list[str]:
    """One run's part of the page."""
    written = [setting.replace("{data}", "DATA") for setting in run.settings]
    settings = " ".join(f"--set {shlex.quote(setting)}" for setting in written)
    bars = [f"{metric} at least {bar}" for metric, bar in run.bars.items()]
    bars += [f"the lower end of {metric} above {bar}" for metric, bar in run.above.items()]
    models = {
        "tuned": entry["tuned"],
        "tuned, generated freely": entry["generated"],
        "base": entry["base"],
        **entry["baselines"],
    }
    rows = [
        f"| {name} | " + " | ".join(score(values, metric) for metric in run.metrics) + " |"
        for name, values in models.items()
        if values
    ]
    return [
        f"## {run.name}",
        "",
        f"{run.about}. Bar: {', '.join(bars) or 'none'}. {entry['rows']} test rows, {entry['steps']} steps, "
        f"{entry['trainable']:,} trained parameters, {entry['dtype']} on {entry['processor']}.",
        "",
        "```text",
        *([] if "/" in run.recipe else [f"luthier recipes {run.recipe} > run.yaml"]),
        f"luthier train {run.recipe if '/' in run.recipe else 'run.yaml'} {settings}".strip(),
        "```",
        "",
        f"| model | {' | '.join(registry.load('metric', metric).title for metric in run.metrics)} |",
        f"|---|{'---|' * len(run.metrics)}",
        *rows,
        "",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
