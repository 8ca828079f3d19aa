"""Probabilities of labels against scikit-learn."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from luthier import registry
from luthier.evaluation.comparison import compare
from luthier.evaluation.metrics.ece import reliability
from luthier.tasks import Prediction

LABELS = ["down", "flat", "up"]


def answers(rows=400, labels=LABELS, sharpness=2.0, seed=0):
    """Answers whose scores leave out a constant, as those of written labels do, and whose right ones follow them."""
    generator = np.random.default_rng(seed)
    logits = sharpness * generator.normal(size=(rows, len(labels)))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = []
    for row in range(rows):
        right = labels[generator.choice(len(labels), p=shares[row])]
        said = labels[int(shares[row].argmax())]
        scores = dict(zip(labels, np.log(shares[row]) - 1.5, strict=True))
        found.append(Prediction(row, "", right, said, said, scores, 1.0, 1))
    return found, shares


def value(name, predictions, labels=LABELS):
    return registry.load("metric", name)().value(predictions, labels)


@pytest.mark.parametrize(("name", "strategy"), [("ece", "uniform"), ("ece_adaptive", "quantile")])
def test_calibration_error_is_that_of_scikit_learns_bins(name, strategy):
    predictions, shares = answers(402)  # so that no quantile falls on a row, where rounding decides
    confidence = shares.max(1)
    right = np.array([row.parsed == row.expected for row in predictions])
    accuracy, mean = calibration_curve(right, confidence, n_bins=15, strategy=strategy)
    edges = np.quantile(confidence, np.linspace(0, 1, 16)) if strategy == "quantile" else np.linspace(0, 1, 16)
    rows = np.bincount(np.searchsorted(edges[1:-1], confidence), minlength=15)
    expected = np.abs(accuracy - mean) @ rows[rows > 0] / len(predictions)
    assert value(name, predictions) == pytest.approx(expected, abs=1e-12)


def test_a_model_that_is_too_sure_is_badly_calibrated():
    calibrated, _ = answers(4000)
    sure = [
        Prediction(r.row_id, "", r.expected, r.raw, r.parsed, {label: 8 * s for label, s in r.scores.items()})
        for r in calibrated
    ]
    assert value("ece", calibrated) < 0.03
    assert value("ece", sure) > 0.15


@pytest.mark.parametrize("labels", [LABELS, LABELS[:2]])
def test_brier_is_scikit_learns(labels):
    predictions, shares = answers(200, labels)
    right = [row.expected for row in predictions]
    given = shares if len(labels) > 2 else shares[:, 1]
    extra = {"labels": labels} if len(labels) > 2 else {"pos_label": labels[1]}
    assert value("brier", predictions, labels) == pytest.approx(brier_score_loss(right, given, **extra), abs=1e-12)


def test_a_diagram_has_the_bins_with_rows():
    predictions, _ = answers(300)
    bins = reliability(predictions, LABELS)
    assert sum(each["rows"] for each in bins) == 300
    assert [each["confidence"] for each in bins] == sorted(each["confidence"] for each in bins)
    error = sum(each["rows"] * abs(each["confidence"] - each["right"]) for each in bins) / 300
    assert value("ece", predictions) == pytest.approx(error)


def test_a_comparison_has_them_where_labels_were_scored():
    predictions, _ = answers(50)
    found = compare(predictions, predictions, {}, ["accuracy"], LABELS, seed=0)
    assert list(found["tuned"]) == ["accuracy", "invalid", "loss", "ece"]
    assert set(found["reliability"]) == {"base", "tuned"}
    plain = [Prediction(row.row_id, "", row.expected, row.raw, row.parsed) for row in predictions]
    assert "reliability" not in compare(None, plain, {}, ["accuracy"], LABELS, seed=0)
    assert "ece" not in compare(None, plain, {}, ["accuracy"], LABELS, seed=0)["tuned"]
