from __future__ import annotations

from typing import Any

import pytest

from luthier.evaluation.comparison import compare
from luthier.evaluation.results import assemble
from luthier.evaluation.verdict import verdict
from luthier.tasks import Prediction


def results(comparison: dict[str, Any]) -> dict[str, Any]:
    return assemble({"test": {"labels": comparison}}, "test", "labels")


def test_a_clear_gain_is_told_with_interval_and_p(answers, labels):
    comparison = compare(answers(400, 0.1, seed=1), answers(400, 0.95, seed=2), {}, ["accuracy"], labels, seed=0)
    text = verdict(results(comparison))
    assert text.startswith("Tuning helped: accuracy 0.910 ")
    assert "on 400 rows" in text
    assert "95\u00a0% interval +0." in text
    assert "p\u00a0≤\u00a00.002" in text
    invalid = round(comparison["tuned"]["invalid"]["value"] * 400)
    assert f"{invalid} of its answers" in text


def test_a_loss_that_falls_is_a_gain():
    base = [Prediction(i, "", None, "", None, {}, 4.0 + i, 2) for i in range(20)]
    tuned = [Prediction(i, "", None, "", None, {}, 3.0 + i, 2) for i in range(20)]
    assert verdict(results(compare(base, tuned, {}, [], [], seed=0))).startswith("Tuning helped: loss ")
    assert verdict(results(compare(tuned, base, {}, [], [], seed=0))).startswith("Tuning made it worse: loss ")


def test_the_same_answers_are_no_difference(answers, labels):
    same = answers(100, 0.5)
    text = verdict(results(compare(same, same, {}, ["accuracy"], labels, seed=0)))
    assert text.startswith("Tuning made no clear difference")
    assert "may be chance" in text


@pytest.mark.parametrize(
    ("linear", "sentence"),
    [
        (0.3, "clearly ahead of a linear model"),
        (0.98, "not worth a language model"),
    ],
)
def test_a_linear_model_that_reaches_the_score_is_named(answers, labels, linear, sentence):
    tuned = answers(400, 0.8, seed=2, invalid=0)
    baseline = {"tfidf": answers(400, linear, seed=3, invalid=0)}
    assert sentence in verdict(results(compare(None, tuned, baseline, ["accuracy"], labels, seed=0)))


def test_a_lead_over_the_linear_model_that_may_be_chance_is_called_so(answers, labels):
    tuned = answers(100, 0.8, invalid=0)
    linear = [*tuned[:-1], Prediction(99, "", tuned[-1].expected, "?", None)]
    if tuned[-1].parsed != tuned[-1].expected:
        tuned = [*tuned[:-1], Prediction(99, "", tuned[-1].expected, "", tuned[-1].expected)]
    text = verdict(results(compare(None, tuned, {"tfidf": linear}, ["accuracy"], labels, seed=0)))
    assert "more test rows would tell" in text


def test_a_base_that_cannot_answer_and_answers_that_are_all_valid(answers, labels):
    text = verdict(results(compare(None, answers(50, 1.0, invalid=0), {}, ["accuracy"], labels, seed=0)))
    assert text.startswith("The tuned model reaches accuracy 1.000")
    assert text.endswith("None of its answers is invalid.")


def test_nothing_to_score_is_said():
    silent = [Prediction(0, "prompt", None, "answer", "answer")]
    assert "no expected answers" in verdict(results(compare(silent, silent, {}, ["accuracy"], [], seed=0)))


def test_numbers_are_compared_with_a_linear_model_where_less_is_better():
    def numbers(errors):
        return [Prediction(n, "", str(n), str(n + e), str(n + e), form="number") for n, e in enumerate(errors)]

    tuned, linear = numbers([0.1, -0.1, 0.2, 0.0] * 10), numbers([0.9, -0.8, 1.0, 1.1] * 10)
    text = verdict(results(compare(None, tuned, {"tfidf_ridge": linear}, [], [], seed=0)))
    assert text.startswith("The tuned model reaches root mean square error 0.122")
    assert "clearly ahead of a linear model" in text
    text = verdict(results(compare(None, linear, {"tfidf_ridge": tuned}, [], [], seed=0)))
    assert "a score that a linear model reaches is not worth a language model" in text


def general(before, after):
    rows = [[Prediction(i, "", None, "", None, {}, nats + i % 3, 2) for i in range(30)] for nats in (before, after)]
    return compare(*rows, {}, [], [], seed=0)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (4.0, 4.6, "On general text it has forgotten something: its perplexity is 16.4, 12.2 before"),
        (4.0, 4.0, "On general text it has forgotten nothing that shows"),
        (4.6, 4.0, "On general text it has forgotten nothing that shows"),
    ],
)
def test_what_was_forgotten_is_said(answers, labels, before, after, sentence):
    found = results(compare(answers(50, 0.5), answers(50, 0.5), {}, ["accuracy"], labels, seed=0))
    assert "general text" not in verdict(found)
    assert sentence in verdict(found | {"forgetting": general(before, after)})


def test_forgetting_of_labelled_rows_goes_by_their_first_metric(answers, labels):
    found = results(compare(answers(50, 0.5), answers(50, 0.5), {}, ["accuracy"], labels, seed=0))
    lost = compare(answers(200, 0.9), answers(200, 0.1, seed=3), {}, ["accuracy"], labels, seed=0)
    assert "forgotten something: its accuracy is" in verdict(found | {"forgetting": lost})


def test_invalid_forecasts_are_told_like_invalid_labels():
    said = ["Prediction: Up by 1-2%", "I do not know.", "Prediction: Down by 0-1%", "Up"]
    rows = [Prediction(n, "", "Prediction: Up by 0-1%", each, each) for n, each in enumerate(said)]
    text = verdict(results(compare(None, rows, {}, ["direction_accuracy", "valid_forecasts"], (), seed=0)))
    assert text.startswith("The tuned model reaches direction accuracy 0.250")
    assert text.endswith("2 of its answers (50.0\u00a0%) are invalid and count as wrong.")
