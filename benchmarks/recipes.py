"""Every recipe at reduced size on real data, `make recipes`: does it end better than its base?

Writes docs/recipe-results.md, a line for each recipe: its metric for the base and the tuned model on rows that were
held out, and the difference with its 95 % interval. A base with a new head cannot answer: the best of the simple ways
of answering stands in its place. A recipe that fails is named there, and the others go on. About 40 minutes on two
cores.

    python benchmarks/recipes.py [RECIPE ...]      only these; the others keep the lines of an earlier call
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stocknet
from accept_runs import PLACES, RECIPES, ROOT, placed

from luthier import registry

PLACES["stocknet"] = stocknet.made

RECORD = ROOT / "docs" / "recipe-results.json"
PAGE = ROOT / "docs" / "recipe-results.md"


@dataclass(frozen=True)
class Reduced:
    """A recipe at a size that takes two minutes.

    Attributes:
        settings: overrides; folders in braces as in `accept_runs`.
        metric: what is compared, on the first way of asking of which it is known.
        first: what is trained before it; the merged model is its base.
        needs: a folder without which it is left out.
    """

    recipe: str
    settings: tuple[str, ...]
    metric: str
    first: Reduced | None = None
    needs: str = ""


CHANCE = {"reward_accuracy": 0.5}
"""What a base reaches that cannot be asked, such as one beside itself."""

SHORT = ("data.limit=128", "training.max_steps=16", "training.batch_size=8", "evaluation.every=null")
PHRASEBANK = "financial_phrasebank/Sentences_AllAgree.txt"
CHOICE = "tal_scq5k/{}_single_choice_train_3K.jsonl"
DEMOS = "llamafactory_demos"
FORECASTS = (
    "data.train.path={stocknet}/forecasts.jsonl", "data.split.test=0.03", *SHORT, "training.learning_rate=5.0e-4",
    "training.micro_batch=auto", "method.dropout=0", "evaluation.modes=[likelihood]", "evaluation.samples=0",
)  # fmt: skip


def labels(recipe: str, path: str, share: float, metric: str = "f1_macro", *others: str) -> Reduced:
    """A recipe whose answers are labels, scored on a share of the rows."""
    asked = ("evaluation.modes=[labels]", "evaluation.few_shot=0", "evaluation.samples=0")
    settings = (f"data.train={{data}}/{path}", f"data.split.test={share}", *SHORT, *asked, *others)
    return Reduced(recipe, settings, metric)


def texts(recipe: str, path: str, share: float, *others: str, key: str = "data.train") -> Reduced:
    """A recipe whose answers are texts, scored by their perplexity."""
    asked = ("evaluation.modes=[likelihood]", "evaluation.samples=0", "data.max_length=256", "data.too_long=drop")
    settings = (f"{key}={{data}}/{path}", f"data.split.test={share}", *SHORT, *asked, *others)
    return Reduced(recipe, settings, "perplexity")


def encoder(recipe: str, path: str, metric: str = "f1_macro") -> Reduced:
    """A recipe on a small encoder, which is quick enough for whole passes."""
    settings = (f"data.train={path}", "data.limit=1200", "training.epochs=1", "evaluation.every=null")
    return Reduced(recipe, settings, metric)


HEADLINES = Reduced("finance_headlines", (*SHORT, "evaluation.modes=[labels]", "evaluation.few_shot=0"), "f1_macro")

RUNS = (
    labels("finance_sentiment", PHRASEBANK, 0.05),
    encoder("finance_sentiment_encoder", f"{{data}}/{PHRASEBANK}"),
    labels("finance_sentiment_fingpt", PHRASEBANK, 0.05, "f1_weighted", "data.test=[]"),
    Reduced(
        "finance_sentiment_mt0",
        ("model.base={t5}/model", f"data.train={{data}}/{PHRASEBANK}", "data.limit=1200", "training.epochs=1"),
        "f1_macro",
        needs="{t5}/model",
    ),
    HEADLINES,
    Reduced("demo", HEADLINES.settings, "f1_macro"),
    labels("compare_methods", PHRASEBANK, 0.05),
    encoder("compare_methods_encoder", f"{{data}}/{PHRASEBANK}"),
    labels("finance_headline_facts", "sentfin/SEntFiN.csv", 0.01),
    encoder("finance_entities", "{sentfin}/entities.jsonl", "entity_f1"),
    texts("finance_table_qa", "tat_qa/tatqa_dataset_dev.json", 0.05, "data.max_length=384"),
    Reduced("finance_forecaster", FORECASTS, "perplexity"),
    texts("finance_chinese", "disc_finllm_sft_sample", 0.1),
    labels("medical_pubmedqa", "pubmedqa/ori_pqal.json", 0.06),
    texts("medical_instructions", "medquad/medquad.tar.gz", 0.05, key="data.train.path"),
    texts("medical_dialogue_zh", "cn_medical_dialogue_sample", 0.01),
    labels("education_choice", CHOICE.format("en"), 0.04, "accuracy"),
    labels("education_choice_zh", CHOICE.format("ch"), 0.04, "accuracy"),
    texts("education_gsm8k", "gsm8k/test.jsonl", 0.05),
    texts("instructions", f"{DEMOS}/alpaca_en_demo.json", 0.05),
    texts("instructions_zh", f"{DEMOS}/alpaca_zh_demo.json", 0.05),
    texts("documents", f"{DEMOS}/wiki_demo.txt", 0.05, "data.too_long=split", "training.max_steps=8"),
    Reduced(
        "low_resource",
        ("training.epochs=1", "evaluation.every=null", "evaluation.modes=[labels]", "evaluation.few_shot=0"),
        "f1_macro",
        first=HEADLINES,
    ),
    encoder("encoder_full", f"{{data}}/{PHRASEBANK}"),
    Reduced(
        "preference_dpo",
        (f"data.train={{data}}/{DEMOS}/dpo_en_demo.json", *SHORT, "training.max_steps=6", "data.max_length=384"),
        "reward_accuracy",
    ),
)


def main(names: list[str]) -> int:
    """Runs what is asked for and writes the page; 1 where a recipe failed."""
    record: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    asked = [run for run in RUNS if not names or run.recipe in names]
    for run in asked:
        record[run.recipe] = outcome(run)
        RECORD.write_text(json.dumps(record, indent=2) + "\n")
        PAGE.write_text(page(record), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))
    return int(any("failed" in record[run.recipe] for run in asked))


def outcome(run: Reduced) -> dict[str, Any]:
    """What came of a recipe, or why nothing did."""
    if run.needs and not Path(placed(run.needs)).exists():
        return {"skipped": f"{run.needs} is not there"}
    try:
        return summarise(run, train(run))
    except subprocess.CalledProcessError as error:
        return {"failed": f"exit code {error.returncode}"}
    except OSError as error:
        return {"failed": str(error)}


def train(run: Reduced) -> dict[str, Any]:
    """One recipe as a user would run it, behind the one that it builds on."""
    settings = [*map(placed, run.settings), "output=runs/recipes"]
    if run.first:
        merged = stocknet.luthier(["export", train(run.first)["run"], "--to", "merged"])
        settings.append(f"model.base={merged['folder']}")
    overrides = [part for setting in settings for part in ("--set", setting)]
    return stocknet.luthier(["train", str(RECIPES / f"{run.recipe}.yaml"), *overrides])


def summarise(run: Reduced, result: dict[str, Any]) -> dict[str, Any]:
    """What the page needs of a run."""
    modes = result["metrics"]["results"][result["metrics"]["primary"]["split"]]
    asked = next(values for values in modes.values() if run.metric in values["tuned"])
    simple = {name: values[run.metric]["value"] for name, values in asked["baselines"].items() if run.metric in values}
    return {
        "metric": run.metric,
        "rows": asked["rows"],
        "base": (asked["base"] or {}).get(run.metric),
        "tuned": asked["tuned"][run.metric],
        "difference": (asked["difference"] or {}).get(run.metric),
        "baselines": simple | ({"chance": CHANCE[run.metric]} if run.metric in CHANCE else {}),
        "steps": result["record"]["steps"],
        "seconds": result["record"]["seconds"],
    }


def page(record: dict[str, Any]) -> str:
    """docs/recipe-results.md."""
    lines = [
        "# Recipes at reduced size",
        "",
        "Written by `make recipes` (`benchmarks/recipes.py`): every recipe on real data, some dozen steps each, scored",
        "on rows that were held out. It shows that a recipe works and in which direction it goes, not how far it gets.",
        "A base with a new head cannot answer: the best of the simple ways of answering stands in its place, with its",
        "name. `low_resource` builds on the merged model of `finance_headlines`, as its comment says.",
        "",
        "| recipe | metric | base | tuned | difference | better? | test rows | steps | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [line(run, record[run.recipe]) for run in RUNS if run.recipe in record]
    return "\n".join(lines) + "\n"


def line(run: Reduced, entry: dict[str, Any]) -> str:
    """A recipe's line of the table."""
    metric = registry.load("metric", run.metric)
    if why := [f"{how}: {reason}" for how, reason in entry.items() if how in ("failed", "skipped")]:
        return f"| `{run.recipe}` | {metric.title} | – | – | – | {why[0]} | – | – | – |"
    higher = metric.higher_is_better
    return (
        f"| `{run.recipe}` | {metric.title} | {beside(entry, higher=higher)} | {number(entry['tuned'])} "
        f"| {interval(entry['difference'])} | {verdict(entry, higher=higher)} "
        f"| {entry['rows']} | {entry['steps']} | {entry['seconds']:.0f} |"
    )


def beside(entry: dict[str, Any], *, higher: bool) -> str:
    """The base's score, or that of the best simple way where it has none."""
    best = best_simple(entry, higher=higher)
    return f"{best[1]:.3f} ({best[0]})" if entry["base"] is None and best else number(entry["base"])


def best_simple(entry: dict[str, Any], *, higher: bool) -> tuple[str, float] | None:
    """The simple way of answering with the best score, and the score."""
    return max(entry["baselines"].items(), key=lambda way: way[1] if higher else -way[1], default=None)


def verdict(entry: dict[str, Any], *, higher: bool) -> str:
    """Whether the tuned model is better than its base, or than the best simple way where the base cannot answer."""
    found = entry["difference"]
    if found is None:
        best = best_simple(entry, higher=higher)
        if best is None:
            return "no baseline"
        found = {end: entry["tuned"][end] - best[1] for end in ("low", "high")}
    low, high = (found["low"], found["high"]) if higher else (-found["high"], -found["low"])
    return "yes" if low > 0 else "no" if high < 0 else "not shown"


def number(value: dict[str, Any] | None) -> str:
    """A score."""
    return "–" if value is None else f"{value['value']:.3f}"


def interval(value: dict[str, Any] | None) -> str:
    """A difference with its interval."""
    return "–" if value is None else f"{value['value']:+.3f} ({value['low']:+.3f} to {value['high']:+.3f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
