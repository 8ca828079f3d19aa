"""The long accuracy runs, `make accept`: real models on real data, each by its recipe, planned first and then trained.

Writes docs/results.md: for every run its command, its scores beside the base's and the baselines', and what the plan
foretold against what happened. A score below its bar makes the command fail. Takes about two hours on two cores.

    python benchmarks/accept.py [NAME ...]      only these runs; the others keep the lines of an earlier call
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from luthier.evaluation.fingpt_sets import SEED, held_out

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("LUTHIER_DATA", ROOT.parent / "shared" / "data"))
RECORD = ROOT / "docs" / "results.json"
PAGE = ROOT / "docs" / "results.md"
LUTHIER = Path(sys.executable).with_name("luthier")


@dataclass(frozen=True)
class Run:
    """One accuracy run: a recipe, the paths it is given, and the scores it must reach."""

    name: str
    recipe: str
    settings: tuple[str, ...]
    bars: dict[str, float]
    about: str


PHRASEBANK = "financial_phrasebank/Sentences_AllAgree.txt"
SEEDED = ("evaluation.few_shot=0", "evaluation.modes=[labels]")
RUNS = (
    Run(
        "phrasebank-smollm2",
        "finance_sentiment",
        (f"data.train={PHRASEBANK}",),
        {"accuracy": 0.95, "f1_macro": 0.93},
        "Financial PhraseBank, AllAgree, 10 % test by label, seed 42; SmolLM2-135M, LoRA rank 16 on all linear layers",
    ),
    Run(
        "phrasebank-minilm",
        "finance_sentiment_encoder",
        (f"data.train={PHRASEBANK}",),
        {"accuracy": 0.92},
        "The same rows; all-MiniLM-L6-v2 with a classification head and LoRA",
    ),
    Run("demo", "demo", (), {}, "`make demo`: 300 of the shipped headlines and a short prompt"),
    Run(
        "headlines-smollm2",
        "finance_headlines",
        (f"data.test={PHRASEBANK}", "evaluation.few_shot=0", "evaluation.modes=[labels]"),
        {"accuracy": 0.75},
        "Trained on the shipped headlines, tested on the whole AllAgree phrasebank, which it never saw",
    ),
    *(
        Run(
            f"phrasebank-smollm2-seed-{seed}",
            "finance_sentiment",
            (f"data.train={PHRASEBANK}", f"data.split.seed={seed}", f"training.seed={seed}", *SEEDED),
            {},
            "The same once more: other split, other initialisation, other order",
        )
        for seed in (1, 2)
    ),
    Run(
        "fingpt-protocol",
        "finance_sentiment_fingpt",
        ("data.train={split}/train.csv", "data.test={split}/test.csv"),
        {"f1_weighted": 0.85},
        "FinGPT's protocol: the 50 % agreement set in file order, a quarter as test by `datasets`' split with seed 42. "
        "Published weighted F1: FinGPT v3.3 (13B) 0.882, v3.2 (7B) 0.850, FinBERT 0.880, GPT-4 0.833, "
        "BloombergGPT 0.511",
    ),
)


def fingpt_split() -> Path:
    """The two parts of FinGPT's protocol as CSV files: what `datasets.train_test_split(seed=42)` gives."""
    folder = Path(os.environ.get("LUTHIER_CACHE", Path.home() / ".cache" / "luthier")) / "fingpt-split"
    folder.mkdir(parents=True, exist_ok=True)
    lines = (DATA / "financial_phrasebank" / "Sentences_50Agree.txt").read_text(encoding="latin-1").splitlines()
    rows = [line.rpartition("@")[::2] for line in lines if line.strip()]
    test = held_out(len(rows), 0.25)
    train = np.random.default_rng(SEED).permutation(len(rows))[len(test) :]
    for name, chosen in {"test": test, "train": train}.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("sentence", "label"), *(rows[index] for index in chosen)])
    return folder


def main(names: list[str]) -> int:
    """Runs what is asked for and writes the page."""
    record: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    failed = []
    for run in RUNS:
        if names and run.name not in names:
            continue
        plan, result = call("plan", run), call("train", run)
        record[run.name] = entry = summarise(plan, result)
        RECORD.write_text(json.dumps(record, indent=2) + "\n")
        failed += [
            f"{run.name}: {m} {entry['tuned'][m]['value']:.3f} < {b}"
            for m, b in run.bars.items()
            if entry["tuned"][m]["value"] < b
        ]
    PAGE.write_text(page(record), encoding="utf-8")
    print("\n".join(failed) or "every bar was reached")
    return bool(failed)


def call(command: str, run: Run) -> dict[str, Any]:
    """One command of Luthier as a user would give it, with --json."""
    recipe = ROOT / "src" / "luthier" / "recipes" / f"{run.recipe}.yaml"
    settings = [setting.replace("=financial", f"={DATA}/financial") for setting in run.settings]
    if any("{split}" in setting for setting in settings):
        settings = [setting.replace("{split}", str(fingpt_split())) for setting in settings]
    overrides = [part for setting in [*settings, "output=runs/accept"] for part in ("--set", setting)]
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


def page(record: dict[str, Any]) -> str:
    """docs/results.md."""
    lines = [
        "# Results",
        "",
        "Written by `make accept` (`benchmarks/accept.py`): real models on real data, by the recipes with only paths",
        "changed. Intervals are 95 % bootstrap intervals over the test rows. `DATA` is the folder of the data sets.",
        "",
    ]
    for run in RUNS:
        if run.name in record:
            lines += section(run, record[run.name])
    lines += [
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
    settings = " ".join(f"--set {setting.replace('=financial', '=DATA/financial')}" for setting in run.settings)
    bars = ", ".join(f"{metric} at least {bar}" for metric, bar in run.bars.items()) or "none"
    models = {
        "tuned": entry["tuned"],
        "tuned, generated freely": entry["generated"],
        "base": entry["base"],
        **entry["baselines"],
    }
    metrics = ("accuracy", "f1_weighted", "f1_macro", "mcc")
    rows = [
        f"| {name} | " + " | ".join(score(values, metric) for metric in metrics) + " |"
        for name, values in models.items()
        if values
    ]
    return [
        f"## {run.name}",
        "",
        f"{run.about}. Bar: {bars}. {entry['rows']} test rows, {entry['steps']} steps, "
        f"{entry['trainable']:,} trained parameters, {entry['dtype']} on {entry['processor']}.",
        "",
        "```text",
        f"luthier recipes {run.recipe} > run.yaml",
        f"luthier train run.yaml {settings}",
        "```",
        "",
        "| model | accuracy | weighted F1 | macro F1 | MCC |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
