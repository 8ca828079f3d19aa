"""Answers that name several labels, against scikit-learn on their indicator matrices."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from luthier import registry
from luthier.evaluation.metrics import applicable
from luthier.tasks import BETWEEN_LABELS, Prediction

LABELS = ["dividend", "merger", "results", "strike"]


def draw(rows, seed):
    return np.random.default_rng(seed).random((rows, 4)) < [0.5, 0.3, 0.2, 0.0]


def text(chosen):
    return BETWEEN_LABELS.join(label for label, true in zip(LABELS, chosen, strict=True) if true)


EXPECTED, ANSWERED = draw(40, 1), draw(40, 2) ^ (draw(40, 3) & draw(40, 4))
ANSWERS = [
    Prediction(n, "", text(expected), text(answered), text(answered), form="labels")
    for n, (expected, answered) in enumerate(zip(EXPECTED, ANSWERED, strict=True))
]


def test_what_is_told_of_several_labels():
    assert list(applicable(["accuracy", "f1_macro", "f1_weighted", "mcc"], ANSWERS, LABELS)) == [
        "f1_macro",
        "f1_weighted",
        "f1_micro",
        "exact_match",
    ]


@pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
def test_f1_is_scikit_learns(average):
    metric = registry.load("metric", f"f1_{average}")()
    absent = {"zero_division": np.nan if average == "macro" else 0.0}
    drawn = np.random.default_rng(5).integers(40, size=40)
    totals = np.bincount(drawn, minlength=40) @ metric.counts(ANSWERS, LABELS)
    assert metric.value(ANSWERS, LABELS) == pytest.approx(f1_score(EXPECTED, ANSWERED, average=average, **absent))
    assert metric.from_totals(totals) == pytest.approx(
        f1_score(EXPECTED[drawn], ANSWERED[drawn], average=average, **absent)
    )


def test_rows_without_any_label_are_no_error():
    silent = [Prediction(n, "", "", "", "", form="labels") for n in range(3)]
    found = {name: metric.value(silent, LABELS) for name, metric in applicable([], silent, LABELS).items()}
    assert found == {"f1_micro": 0.0, "exact_match": 1.0}
    assert registry.load("metric", "f1_macro")().value(silent, LABELS) == 0.0


def test_exact_match_wants_every_label():
    right = (EXPECTED == ANSWERED).all(1).mean()
    assert 0 < right < 1
    assert registry.load("metric", "exact_match")().value(ANSWERS, LABELS) == pytest.approx(right)


def test_micro_f1_of_one_label_counts_invalid_answers_as_missed(answers, labels):
    found = answers(50, 0.6, invalid=0.3)
    expected, answered = [row.expected for row in found], [row.parsed or "?" for row in found]
    assert registry.load("metric", "f1_micro")().value(found, labels) == pytest.approx(
        f1_score(expected, answered, labels=labels, average="micro")
    )
