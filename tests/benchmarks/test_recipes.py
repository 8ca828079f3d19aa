"""The recipes at reduced size: every setting is one that its recipe takes."""

import re
import subprocess

import pytest

import luthier.recipes
import recipes
from luthier import registry
from luthier.config import load_config

PLACE = re.compile("{(" + "|".join(recipes.PLACES) + ")}")


@pytest.mark.parametrize("run", recipes.RUNS, ids=lambda run: run.recipe)
def test_the_settings_fit_the_recipe(run):
    settings = [PLACE.sub("folder", setting) for setting in run.settings]
    load_config(recipes.RECIPES / f"{run.recipe}.yaml", settings)
    assert run.metric in registry.names("metric")


def test_every_recipe_is_tried():
    assert sorted(run.recipe for run in recipes.RUNS) == [recipe.name for recipe in luthier.recipes.recipes()]


def entry(low, high, *, difference=None, **baselines):
    tuned = {"value": (low + high) / 2, "low": low, "high": high}
    known = {"base": None, "tuned": tuned, "difference": difference, "baselines": baselines}
    return known | {"rows": 9, "steps": 3, "seconds": 5.0}


@pytest.mark.parametrize(
    ("found", "higher", "expected"),
    [
        (entry(0.2, 0.3, word_tags=0.5), True, "no"),
        (entry(0.4, 0.6, word_tags=0.5, other=0.1), True, "not shown"),
        (entry(0.6, 0.7, word_tags=0.5, other=0.1), True, "yes"),
        (entry(2.0, 3.0, mean=4.0, other=9.0), False, "yes"),
        (entry(2.0, 3.0, mean=1.0, other=9.0), False, "no"),
        (entry(0.6, 0.7), True, "no baseline"),
        (entry(0.1, 0.2, difference={"low": 0.01, "high": 0.1}, majority=0.9), True, "yes"),
        (entry(0.6, 0.7, difference={"low": -0.1, "high": 0.1}), True, "not shown"),
        (entry(2.0, 3.0, difference={"low": -0.2, "high": -0.1}), False, "yes"),
    ],
)
def test_better_is_better_than_the_base_or_else_than_the_best_simple_way(found, higher, expected):
    assert recipes.verdict(found, higher=higher) == expected


def test_pairs_are_compared_with_chance_too():
    [run] = [run for run in recipes.RUNS if run.metric == "reward_accuracy"]
    score = {"reward_accuracy": {"value": 0.55, "low": 0.45, "high": 0.65}}
    asked = {"rows": 9, "base": None, "tuned": score, "difference": None}
    asked["baselines"] = {"shorter": {"reward_accuracy": {"value": 0.3, "low": 0.2, "high": 0.4}}}
    metrics = {"primary": {"split": "test"}, "results": {"test": {"preference": asked}}}
    found = recipes.summarise(run, {"metrics": metrics, "record": {"steps": 3, "seconds": 5.0}})
    assert found["baselines"] == {"shorter": 0.3, "chance": 0.5}
    assert "| 0.500 (chance) | 0.550 | – | not shown | 9 |" in recipes.page({run.recipe: found})


def test_a_recipe_that_fails_is_told_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    tried = []

    def train(run):
        tried.append(run.recipe)
        raise subprocess.CalledProcessError(3, "luthier")

    monkeypatch.setattr(recipes, "train", train)
    monkeypatch.setattr(recipes, "RECORD", tmp_path / "results.json")
    monkeypatch.setattr(recipes, "PAGE", tmp_path / "results.md")
    monkeypatch.setitem(recipes.PLACES, "t5", lambda: tmp_path / "small-t5")
    assert recipes.main(["demo", "documents", "finance_sentiment_mt0"]) == 1
    assert tried == ["demo", "documents"]
    page = capsys.readouterr().out
    assert "| `documents` | perplexity | – | – | – | failed: exit code 3 |" in page
    assert "skipped: {t5}/model is not there" in page
    assert recipes.main(["finance_sentiment_mt0"]) == 0, "what was not tried did not fail"


def test_the_second_language_builds_on_the_merged_model_of_the_first(monkeypatch):
    asked = []

    def answer(command):
        asked.append(command)
        return {"run": "first", "folder": "merged"}

    monkeypatch.setattr(recipes.stocknet, "luthier", answer)
    [run] = [run for run in recipes.RUNS if run.recipe == "low_resource"]
    recipes.train(run)
    english, export, chinese = asked
    assert english[1].endswith("finance_headlines.yaml")
    assert export == ["export", "first", "--to", "merged"]
    assert chinese[1].endswith("low_resource.yaml")
    assert "model.base=merged" in chinese
