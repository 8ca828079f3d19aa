"""Metrics of forecasts, by numbers that were worked out by hand."""

import pytest

from luthier import registry
from luthier.evaluation.metrics import applicable
from luthier.evaluation.sections import section_scores
from luthier.tasks import Prediction

NAMES = [
    *("direction_accuracy", "direction_accuracy_valid", "direction_mcc"),
    *("move_mse", "move_mse_valid", "valid_forecasts"),
]

ANSWERS = [
    ("Up by 1-2%", "Prediction: Up by 1-2%"),  # right: no error
    ("Up by 0-1%", "Prediction: Up by 3-4%"),  # right direction: 0.5 against 3.5, error 9
    ("Down by 2-3%", "Prediction: Up by 0-1%"),  # wrong: -2.5 against 0.5, error 9
    ("Down by more than 5%", "Prediction: Down by 4-5%"),  # right direction: -5.5 against -4.5, error 1
    ("Up by 1-2%", "Nobody knows."),  # invalid: like -1.5 against 1.5, error 9
]


def rows(pairs=ANSWERS):
    right = "[Prediction & Analysis]:\nPrediction: {}"
    return [Prediction(n, "prompt", right.format(want), said, said) for n, (want, said) in enumerate(pairs)]


def value(name, predictions):
    return registry.load("metric", name)().value(predictions, ())


def test_the_values_are_those_worked_out_by_hand():
    assert value("direction_accuracy", rows()) == pytest.approx(3 / 5), "an invalid answer is a wrong one"
    assert value("direction_accuracy_valid", rows()) == pytest.approx(3 / 4), "or left out, as was usual"
    assert value("move_mse", rows()) == pytest.approx((0 + 9 + 9 + 1 + 9) / 5)
    assert value("move_mse_valid", rows()) == pytest.approx((0 + 9 + 9 + 1) / 4)
    assert value("valid_forecasts", rows()) == pytest.approx(4 / 5)
    # hits 2 up and 1 down; answered 3 up, 1 down, 1 invalid; expected 3 up, 2 down:
    # (3 * 5 - (3 * 3 + 1 * 2)) / sqrt((25 - 9 - 1 - 1) * (25 - 9 - 4))
    assert value("direction_mcc", rows()) == pytest.approx(4 / (14 * 12) ** 0.5)


def test_resamples_are_formulas_over_summed_counts():
    for name in NAMES:
        metric = registry.load("metric", name)()
        counts = metric.counts(rows(), ())
        twice = counts[[0, 2, 2, 4]].sum(axis=0)
        pairs = [ANSWERS[number] for number in (0, 2, 2, 4)]
        assert float(metric.from_totals(twice)) == pytest.approx(value(name, rows(pairs)), abs=1e-12)


def test_without_a_valid_answer_nothing_is_right():
    invalid = rows([("Up by 1-2%", "?"), ("Down by 1-2%", "")])
    assert [value(name, invalid) for name in NAMES] == [0, 0, 0, 9, 9, 0], "nor is the error none"


def test_they_are_told_where_right_answers_are_forecasts_and_asked_for():
    assert list(applicable(NAMES, rows(), ())) == NAMES
    assert not set(NAMES) & set(applicable(["rouge_l"], rows(), ()))
    other = Prediction(9, "prompt", "No forecast.", "Up by 1-2%", "Up by 1-2%")
    assert not set(NAMES) & set(applicable(NAMES, [*rows(), other], ()))
    measured = [Prediction(0, "prompt", "Up by 1-2%", "", None, {}, 1.0, 5)]
    assert not set(NAMES) & set(applicable(NAMES, measured, ()))


def test_sections_are_scored_by_what_compares_texts():
    from luthier.config import load_config
    from luthier.recipes import recipe

    headings = load_config(recipe("finance_forecaster").path).evaluation.sections
    right = (
        "[Positive Developments]:\n1. Sales rose.\n\n[Potential Concerns]:\n1. Debts grew.\n\n"
        "[Prediction & Analysis]:\nPrediction: Up by 1-2%\nAnalysis: Sales outweigh debts."
    )
    said = right.replace("Debts grew", "Costs grew").replace("\nAnalysis: Sales outweigh debts.", "")
    scores = section_scores([Prediction(0, "prompt", right, said, said)], headings, NAMES)
    assert {name for name in scores if name.startswith("analysis")} == {
        "analysis/rouge_1", "analysis/rouge_2", "analysis/rouge_l",
    }  # fmt: skip
    assert scores["positive developments/rouge_1"] == 1.0
    assert scores["potential concerns/rouge_1"] == pytest.approx(2 / 3), "1, costs, grew against 1, debts, grew"
    assert scores["prediction/rouge_l"] == 1.0
    assert scores["analysis/rouge_1"] == 0.0
