"""Answers that are numbers, against scikit-learn and scipy."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (
    mean_absolute_error,
    mean_absolute_percentage_error,
    r2_score,
    root_mean_squared_error,
)

from luthier import registry
from luthier.evaluation.metrics import applicable
from luthier.tasks import Prediction

REFERENCES = {
    "rmse": root_mean_squared_error,
    "mae": mean_absolute_error,
    "mape": mean_absolute_percentage_error,
    "smape": lambda expected, found: np.mean(2 * np.abs(found - expected) / (np.abs(expected) + np.abs(found))),
    "pearson": lambda expected, found: pearsonr(expected, found).statistic,
    "spearman": lambda expected, found: spearmanr(expected, found).statistic,
    "r2": r2_score,
}


def predictions(expected, found):
    return [
        Prediction(n, "", repr(float(e)), repr(float(f)), repr(float(f)), form="number")
        for n, (e, f) in enumerate(zip(expected, found, strict=True))
    ]


def drawn(offset=0.0):
    generator = np.random.default_rng(0)
    expected = np.round(generator.normal(size=50), 1)  # some are equal
    return expected + offset, expected + generator.normal(scale=0.8, size=50) + offset


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("name", REFERENCES)
def test_values_are_those_of_the_references(name, offset):
    expected, found = drawn(offset)
    metric = registry.load("metric", name)()
    assert metric.value(predictions(expected, found), []) == pytest.approx(REFERENCES[name](expected, found), rel=1e-6)


@pytest.mark.parametrize("name", ["rmse", "mae", "pearson", "r2"])
def test_resampled_totals_are_those_of_the_resampled_rows(name):
    expected, found = drawn()
    rows = np.random.default_rng(1).integers(50, size=50)
    metric = registry.load("metric", name)()
    totals = np.bincount(rows, minlength=50) @ metric.counts(predictions(expected, found), [])
    assert metric.from_totals(totals) == pytest.approx(REFERENCES[name](expected[rows], found[rows]))


@pytest.mark.parametrize("constant", [0.1, 1 / 3, 12345.678])
def test_an_answer_that_never_changes_has_no_correlation(constant):
    expected, _ = drawn()
    same = predictions(expected, [constant] * 50)
    for name in ("pearson", "spearman"):
        metric = registry.load("metric", name)()
        assert metric.value(same, []) == 0.0
        totals = metric.counts(same, [])[np.random.default_rng(2).integers(50, size=(200, 50))].sum(1)
        assert not metric.from_totals(totals).any()
    assert registry.load("metric", "r2")().value(predictions([constant] * 50, expected), []) == 0.0


def test_the_mean_explains_nothing():
    expected, _ = drawn()
    assert registry.load("metric", "r2")().value(predictions(expected, [expected.mean()] * 50), []) == pytest.approx(0)


def test_what_is_told_of_numbers():
    found = predictions(*drawn())
    assert list(applicable(["accuracy", "f1_macro"], found, [])) == ["rmse", "mae", "pearson", "spearman", "r2"]
    assert list(applicable(["pearson"], found, [])) == ["pearson"]
