"""The contract of all metrics, and each against its reference implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from luthier import registry
from luthier.evaluation.metrics import Metric, applicable
from luthier.tasks import Prediction

CLASS_METRICS = ["accuracy", "f1_macro", "f1_weighted", "mcc", "invalid"]


def metric(name: str) -> Metric:
    found: Metric = registry.load("metric", name)()
    return found


def free(pairs: list[tuple[str, str]]) -> list[Prediction]:
    return [Prediction(i, "question", expected, raw, raw, {}, 1.5, 3) for i, (expected, raw) in enumerate(pairs)]


SENTENCES = [
    ("the cat sat on the mat .", "the cat sat on a mat ."),
    ("profits rose in the third quarter", "profits fell in the third quarter of the year"),
    ("shares were little changed on Monday", "shares were little changed on Monday"),
    ("nothing alike", "completely different words here"),
]

PAIRS = [
    Prediction(n, "q", "chosen", answer, answer, {"chosen": 0.5, "rejected": n / 3})
    for n, answer in ((0, "chosen"), (1, "rejected"))
]
TAGS = ["B-A", "I-A", "O"]
TAGGED = [
    Prediction(0, "a b c", "B-A I-A O", "B-A I-A O", "B-A I-A O", form="tags"),
    Prediction(1, "d e", "O B-A", "B-A B-A", "B-A B-A", form="tags"),
]
NUMBERS = [
    Prediction(n, "", str(expected), str(found), str(found), form="number")
    for n, (expected, found) in enumerate([(0.5, 0.25), (-1.0, -0.5), (0.0, 0.75), (2.0, 1.0)])
]


SCORED = [
    Prediction(n, "q", right, said, said, {"up": -0.4 - n / 9, "down": -1.2 + n / 9}, 0.5, 2)
    for n, (right, said) in enumerate([("up", "up"), ("down", "up"), ("up", "up"), ("down", "down")])
]


@pytest.mark.parametrize("name", registry.names("metric"))
def test_value_is_the_formula_over_summed_counts_and_over_any_leading_dimensions(name, answers, labels):
    chosen = metric(name)
    candidates = (
        (answers(60, 0.6), labels),
        (free(SENTENCES), []),
        (PAIRS, []),
        (TAGGED, TAGS),
        (NUMBERS, []),
        (SCORED, ["up", "down"]),
        (free([("Up by 1-2%", "Up by 2-3%"), ("Down by 0-1%", "?")]), []),
    )
    predictions, allowed = next(found for found in candidates if chosen.applies(*found))
    counts = chosen.counts(predictions, allowed)
    assert counts.shape[0] == len(predictions)
    totals = np.stack([counts.sum(0), 2 * counts.sum(0)])
    assert chosen.from_totals(totals).shape == (2,)
    value = chosen.value(predictions, allowed)
    assert isinstance(value, float)
    assert chosen.from_totals(totals)[0] == pytest.approx(value, abs=1e-12)
    assert chosen.title


@pytest.mark.parametrize("name", registry.names("metric"))
def test_no_rows_no_metric(name, labels):
    assert not metric(name).applies([], labels)
    assert not metric(name).applies([], [])


@pytest.mark.parametrize("name", CLASS_METRICS)
def test_resampled_totals_give_what_scikit_learn_gives_on_the_resampled_rows(name, answers, labels):
    predictions = answers(80, 0.5)
    chosen = metric(name)
    counts = chosen.counts(predictions, labels)
    reference = {
        "accuracy": accuracy_score,
        "f1_macro": lambda e, a: f1_score(e, a, labels=labels, average="macro", zero_division=np.nan),
        "f1_weighted": lambda e, a: f1_score(e, a, labels=labels, average="weighted", zero_division=np.nan),
        "mcc": matthews_corrcoef,
        "invalid": lambda e, a: a.count("?") / len(a),
    }[name]
    generator = np.random.default_rng(3)
    for size in (3, 80, 80, 80):
        drawn = generator.integers(80, size=size)
        expected = [predictions[i].expected for i in drawn]
        answered = [predictions[i].parsed or "?" for i in drawn]
        weights = np.bincount(drawn, minlength=80).astype(float)
        assert chosen.from_totals(weights @ counts) == pytest.approx(reference(expected, answered), abs=1e-12)


def test_invalid_answers_are_wrong_not_left_out(labels):
    predictions = [
        Prediction(0, "", "neutral", "neutral", "neutral"),
        Prediction(1, "", "neutral", "who knows", None),
        Prediction(2, "", "neutral", "", None),
        Prediction(3, "", "neutral", "neutral", "neutral"),
    ]
    assert metric("accuracy").value(predictions, labels) == 0.5
    assert metric("f1_weighted").value(predictions, labels) == pytest.approx(2 / 3)
    assert metric("invalid").value(predictions, labels) == 0.5


def test_an_expected_label_outside_the_allowed_ones_is_a_class_that_nothing_hits(labels):
    predictions = [Prediction(0, "", "neutral", "neutral", "neutral"), Prediction(1, "", "mixed", "neutral", "neutral")]
    assert metric("accuracy").value(predictions, labels) == 0.5
    assert metric("f1_macro").value(predictions, labels) == pytest.approx((2 / 3 + 0) / 2)


def test_guessing_one_class_has_no_correlation(labels):
    predictions = [Prediction(i, "", label, "neutral", "neutral") for i, label in enumerate(labels)]
    assert metric("mcc").value(predictions, labels) == 0.0


def test_loss_is_per_token_over_all_rows_together():
    predictions = [
        Prediction(0, "", None, "", None, {}, loss=6.0, tokens=2),
        Prediction(1, "", None, "", None, {}, loss=2.0, tokens=6),
    ]
    assert metric("loss").value(predictions, []) == 1.0
    assert metric("perplexity").value(predictions, []) == pytest.approx(math.e)
    assert not metric("loss").applies([*predictions, Prediction(2, "", None, "", None)], [])


@pytest.mark.parametrize(
    ("expected", "raw", "same"),
    [
        ("Revenue rose", "  revenue   rose. ", True),
        ("１２％", "12%", True),
        ("利润增长", "利润增长。", True),
        ("revenue rose", "revenue fell", False),
        ("12", "12.5", False),
    ],
)
def test_exact_match_overlooks_only_form(expected, raw, same):
    assert metric("exact_match").value(free([(expected, raw)]), []) == float(same)


def test_what_applies_to_labels_free_answers_measured_answers_and_documents(answers, labels):
    asked = ["mcc", "accuracy"]
    scored = [Prediction(0, "q", "up", "up", "up", {"up": -0.5, "down": -1.0}, 0.5, 2)]
    assert list(applicable(["perplexity"], scored, ["up", "down"])) == ["perplexity", "invalid", "loss", "ece"]
    assert list(applicable(asked, answers(5, 1.0), labels)) == ["mcc", "accuracy", "invalid", "loss"]
    usual = ["exact_match", "token_f1", "rouge_l", "chrf", "length_ratio"]
    assert list(applicable(asked, free(SENTENCES), [])) == [*usual, "loss", "perplexity"]
    assert list(applicable(["bleu"], free(SENTENCES), [])) == ["bleu", "loss", "perplexity"]
    measured = [Prediction(0, "q", "a", "", None, {}, 1.0, 1)]
    assert list(applicable(asked, measured, [])) == ["loss", "perplexity"]
    documents = [Prediction(0, "", None, "", None, {}, 1.0, 1)]
    assert list(applicable(asked, documents, [])) == ["loss", "perplexity"]
