"""The page of the accuracy runs and what counts as missed; the runs themselves take hours."""

import accept
import accept_runs
import pytest

from luthier import registry
from luthier.recipes import recipes


def entry(value, low, majority):
    def scores(number, lower):
        return {name: {"value": number, "low": lower, "high": 1.0} for name in accept_runs.CLASSES}

    return {
        "rows": 10,
        "mode": "labels",
        "tuned": scores(value, low),
        "base": None,
        "generated": None,
        "baselines": {"majority": scores(majority, majority)},
        "processor": "a processor",
        "dtype": "float32",
        "steps": 3,
        "trainable": 1000,
        "memory": {"plan": 90.0, "run": 100.0},
        "seconds": {"plan": 12.0, "run": 10.0},
    }


@pytest.mark.parametrize(
    ("value", "low", "said"),
    [(0.7, 0.65, []), (0.5, 0.45, ["f1_macro 0.500 < 0.6"]), (0.7, 0.2, ["0.200, is not above majority"])],
)
def test_what_is_missed_is_named(value, low, said):
    run = accept_runs.Run("x", "demo", (), "", {"f1_macro": 0.6}, {"f1_macro": "majority"})
    missed = accept.missed(run, entry(value, low, 0.25))
    assert len(missed) == len(said)
    assert all(part in line for part, line in zip(said, missed, strict=True))


def test_a_score_may_have_to_lie_above_the_base():
    run = accept_runs.Run("x", "demo", (), "", above={"f1_macro": "base"})
    low, high = ({name: {"value": value} for name in accept_runs.CLASSES} for value in (0.1, 0.9))
    assert accept.missed(run, entry(0.7, 0.65, 0.25) | {"base": low}) == []
    assert accept.missed(run, entry(0.7, 0.65, 0.25) | {"base": high}) != []


def test_the_page_has_the_command_the_bars_and_the_scores():
    run = next(run for run in accept_runs.RUNS if run.name == "phrasebank-prompt")
    page = accept.page({run.name: entry(0.7, 0.65, 0.25)})
    assert "--set data.train=DATA/financial_phrasebank/Sentences_AllAgree.txt" in page
    assert "f1_macro at least 0.6, the lower end of f1_macro above majority" in page
    assert "| tuned | 0.700 (0.650–1.000) |" in page
    assert "| model | accuracy | weighted F1 | macro F1 | " in page
    assert "| phrasebank-prompt | 90 MB | 100 MB | 0.90 | 12 s | 10 s | 1.20 |" in page


def test_the_mean_over_seeds_is_told_when_all_were_run():
    names = accept_runs.SEEDS
    record = {name: entry(value, 0.9, 0.25) for name, value in zip(names, (0.94, 0.97, 0.99), strict=True)}
    assert accept.means(record) == {"accuracy": pytest.approx(2.9 / 3)}
    assert f"Mean accuracy of {', '.join(names)}: **0.967**. Bar: at least 0.96." in accept.page(record)
    assert accept.means({name: record[name] for name in names[:2]}) == {}


def test_every_run_names_what_there_is():
    names = [run.name for run in accept_runs.RUNS]
    assert len(names) == len(set(names))
    shipped = {recipe.name for recipe in recipes()}
    for run in accept_runs.RUNS:
        assert run.recipe in shipped or run.recipe.startswith("{sentfin}/")
        assert {*run.metrics, *run.bars, *run.above} <= set(registry.names("metric"))
