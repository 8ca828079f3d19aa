"""The accuracy runs of `accept.py`: recipes, the data they are given, and the scores they must reach."""

from __future__ import annotations

import csv
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import sentfin

from luthier.evaluation.fingpt_sets import SEED, held_out

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("LUTHIER_DATA", ROOT.parent / "shared" / "data"))
CACHE = Path(os.environ.get("LUTHIER_CACHE", Path.home() / ".cache" / "luthier"))
LUTHIER = Path(sys.executable).with_name("luthier")
RECIPES = ROOT / "src" / "luthier" / "recipes"

CLASSES = ("accuracy", "f1_weighted", "f1_macro", "mcc")
"""Metrics of a classification on the page."""


@dataclass(frozen=True)
class Run:
    """One accuracy run.

    Attributes:
        recipe: name of a shipped recipe, or the path of a configuration below {sentfin}.
        settings: overrides; {data}, {fingpt}, {t5} and {sentfin} stand for folders, see `PLACES`.
        bars: what scores must reach.
        above: what the lower ends of intervals must lie above: a number, or the score of a baseline or the base.
        metrics: those on the page.
    """

    name: str
    recipe: str
    settings: tuple[str, ...]
    about: str
    bars: dict[str, float] = field(default_factory=dict)
    above: dict[str, str | float] = field(default_factory=dict)
    metrics: tuple[str, ...] = CLASSES


ALL_AGREE = "data.train={data}/financial_phrasebank/Sentences_AllAgree.txt"
ONE_WAY = ("evaluation.few_shot=0", "evaluation.modes=[labels]")
SHORT = "training.max_steps=130"
QUESTION = "Classify the sentiment of this financial news as negative, neutral or positive. Answer with one word."

SENTIMENT = (
    Run(
        "phrasebank-smollm2",
        "finance_sentiment",
        (ALL_AGREE,),
        "Financial PhraseBank, AllAgree, 10 % test by label, seed 42; SmolLM2-135M, LoRA rank 16 on all linear layers",
        {"accuracy": 0.95, "f1_macro": 0.93},
    ),
    *(
        Run(
            f"phrasebank-smollm2-seed-{seed}",
            "finance_sentiment",
            (ALL_AGREE, f"data.split.seed={seed}", f"training.seed={seed}", *ONE_WAY),
            "The same once more: other split, other initialisation, other order",
        )
        for seed in (1, 2)
    ),
    Run(
        "phrasebank-minilm",
        "finance_sentiment_encoder",
        (ALL_AGREE,),
        "The same rows; all-MiniLM-L6-v2 with a classification head and LoRA",
        {"accuracy": 0.92},
    ),
    Run("demo", "demo", (), "`make demo`: 300 of the shipped headlines and a short prompt"),
    Run(
        "headlines-smollm2",
        "finance_headlines",
        (ALL_AGREE.replace("train", "test"), *ONE_WAY),
        "Trained on the shipped headlines, tested on the whole AllAgree phrasebank, which it never saw",
        {"accuracy": 0.75},
    ),
    Run(
        "fingpt-protocol",
        "finance_sentiment_fingpt",
        ("data.train={fingpt}/train.csv", "data.test={fingpt}/test.csv"),
        "FinGPT's protocol: the 50 % agreement set in file order, a quarter as test by `datasets`' split with seed 42. "
        "Published weighted F1: FinGPT v3.3 (13B) 0.882, v3.2 (7B) 0.850, FinBERT 0.880, GPT-4 0.833, "
        "BloombergGPT 0.511",
        {"f1_weighted": 0.85},
    ),
    Run(
        "sentfin-on-phrasebank",
        "finance_sentiment_fingpt",
        ("data.train={sentfin}/single.jsonl", "data.test={fingpt}/test.csv", "training.epochs=1"),
        "Trained on SEntFiN's headlines of a single entity, tested by FinGPT's protocol on the phrasebank, of which it "
        "saw no sentence: 135 million parameters beside the published 7 to 50 billion of `docs/fingpt.md`",
        above={"f1_weighted": "base"},
    ),
)
"""Sentiment, the road that everything else is compared with."""


def _tuned_by(name: str, method: str, rate: str, about: str, *settings: str) -> Run:
    """A method other than plain LoRA on the AllAgree phrasebank with SmolLM2."""
    chosen = (f"method={method}", f"training.learning_rate={rate}", *settings, *ONE_WAY)
    run = f"phrasebank-{name}"
    return Run(run, "finance_sentiment", (ALL_AGREE, *chosen), about, {"f1_macro": 0.6}, {"f1_macro": "majority"})


METHODS = (
    _tuned_by("prefix", f'{{name: prefix, tokens: 20, text: "{QUESTION}"}}', "1e-2", "Prefix tuning", SHORT),
    _tuned_by("prompt", f'{{name: prompt, tokens: 20, text: "{QUESTION}"}}', "1e-2", "Prompt tuning", SHORT),
    _tuned_by("p-tuning", "{name: p_tuning, tokens: 20}", "3e-3", "P-tuning", SHORT),
    _tuned_by("adalora", "adalora", "1e-3", "AdaLoRA, whose ranks are pruned while it trains", SHORT),
    Run(
        "phrasebank-small-t5",
        "finance_sentiment_mt0",
        ("model.base={t5}/model", ALL_AGREE),
        "A T5 of 7 million weights made by `benchmarks/small_t5.py`, LoRA with the published settings of mT0-large",
        {"f1_macro": 0.6},
        {"f1_macro": "majority"},
    ),
)
"""Other methods on the same rows."""

TASKS = (
    Run(
        "preference-dpo",
        "preference_dpo",
        ("data.train={data}/llamafactory_demos/dpo_en_demo.json", "data.split.test=0.4", "training.epochs=3"),
        "DPO on 300 pairs, 40 % of them held out; SmolLM2-135M",
        above={"reward_accuracy": 0.5},
        metrics=("reward_accuracy", "reward_margin"),
    ),
    Run(
        "sentfin-entities",
        "{sentfin}/entities.yaml",
        (),
        "Named entities of SEntFiN's headlines with their sentiment; MiniLM",
        metrics=("entity_f1", "entity_precision", "entity_recall", "tag_accuracy"),
    ),
    Run(
        "sentfin-several",
        "{sentfin}/several.yaml",
        (),
        "All sentiments of a headline at once; MiniLM",
        metrics=("f1_micro", "f1_macro", "exact_match"),
    ),
    Run(
        "sentfin-mean",
        "{sentfin}/mean.yaml",
        (),
        "The mean sentiment of a headline as a number; MiniLM",
        metrics=("rmse", "mae", "pearson", "spearman"),
    ),
)
"""Other tasks."""

SEEDS = ("phrasebank-smollm2", "phrasebank-smollm2-seed-1", "phrasebank-smollm2-seed-2")
MEAN = {"accuracy": 0.96}
"""What these runs must reach in the mean."""

RUNS = (*SENTIMENT, *METHODS, *TASKS)


def fingpt_split() -> Path:
    """The two parts of FinGPT's protocol as CSV files: what `datasets.train_test_split(seed=42)` gives."""
    folder = CACHE / "fingpt-split"
    folder.mkdir(parents=True, exist_ok=True)
    lines = (DATA / "financial_phrasebank" / "Sentences_50Agree.txt").read_text(encoding="latin-1").splitlines()
    rows = [line.rpartition("@")[::2] for line in lines if line.strip()]
    test = held_out(len(rows), 0.25)
    train = np.random.default_rng(SEED).permutation(len(rows))[len(test) :]
    for name, chosen in {"test": test, "train": train}.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("sentence", "label"), *(rows[index] for index in chosen)])
    return folder


PLACES = {
    "data": lambda: DATA,
    "fingpt": fingpt_split,
    "t5": lambda: CACHE / "bench" / "small-t5",
    "sentfin": sentfin.made,
}
"""Folders by their name in settings, most of them made when they are not there; {t5} is made by small_t5.py."""


def placed(text: str) -> str:
    """A setting with the folders that are here."""
    for name, folder in PLACES.items():
        if f"{{{name}}}" in text:
            text = text.replace(f"{{{name}}}", str(folder()))
    return text
