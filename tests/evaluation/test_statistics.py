from __future__ import annotations

import time

import numpy as np
import pytest

from luthier.evaluation import statistics
from luthier.evaluation.comparison import compare
from luthier.evaluation.statistics import bootstrap_totals, interval, mcnemar, paired_difference


def test_the_interval_of_a_share_has_the_binomial_width():
    right = (np.arange(400) < 300).astype(float)
    counts = np.stack([right, np.ones(400)], axis=1)
    totals = bootstrap_totals({"share": counts}, seed=1, resamples=4000)["share"]
    found = interval(0.75, totals[:, 0] / totals[:, 1])
    expected = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert found["value"] == 0.75
    assert 0.75 - found["low"] == pytest.approx(expected, rel=0.1)
    assert found["high"] - 0.75 == pytest.approx(expected, rel=0.1)


def test_the_interval_covers_the_truth_about_95_times_in_100():
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        counts = np.stack([generator.random(100) < 0.7, np.ones(100)], axis=1).astype(float)
        totals = bootstrap_totals({0: counts}, seed=trial, resamples=300)[0]
        found = interval(0.0, totals[:, 0] / totals[:, 1])
        covered += found["low"] <= 0.7 <= found["high"]
    assert 0.89 <= covered / 200 <= 0.99


def test_all_entries_see_the_same_draws_and_the_seed_decides_them():
    counts = np.random.default_rng(0).random((50, 3))
    first = bootstrap_totals({"a": counts, "b": counts}, seed=5)
    assert np.array_equal(first["a"], first["b"])
    assert np.array_equal(first["a"], bootstrap_totals({"a": counts}, seed=5)["a"])
    assert not np.array_equal(first["a"], bootstrap_totals({"a": counts}, seed=6)["a"])


def test_every_resample_draws_as_many_rows_also_in_blocks(monkeypatch):
    monkeypatch.setattr(statistics, "_CHUNK", 70)
    totals = bootstrap_totals({"one": np.ones((10, 1))}, seed=0, resamples=25)["one"]
    assert totals.shape == (25, 1)
    assert (totals == 10).all()


def test_p_is_small_for_a_clear_difference_and_large_for_none():
    generator = np.random.default_rng(0)
    assert paired_difference(0.3, generator.normal(0.3, 0.05, 1000))["p"] == pytest.approx(2 / 1001)
    assert paired_difference(-0.3, generator.normal(-0.3, 0.05, 1000))["p"] == pytest.approx(2 / 1001)
    assert paired_difference(0.0, generator.normal(0.0, 0.05, 1000))["p"] > 0.8
    assert paired_difference(0.0, np.zeros(1000))["p"] == 1.0


def test_pairing_makes_a_small_steady_gain_visible():
    generator = np.random.default_rng(0)
    base = (generator.random(500) < 0.6).astype(float)
    tuned = base.copy()
    tuned[np.flatnonzero(base == 0)[:15]] = 1.0
    totals = bootstrap_totals({"base": base[:, None], "tuned": tuned[:, None]}, seed=0)
    paired = paired_difference(0.03, (totals["tuned"] - totals["base"])[:, 0] / 500)
    assert paired["low"] > 0
    own = interval(0.63, totals["tuned"][:, 0] / 500)
    assert own["low"] < base.mean() < own["high"]


def test_mcnemar_is_the_exact_binomial_test_of_the_rows_they_differ_on():
    base = np.array([True] * 10 + [True] * 1 + [False] * 8 + [False] * 5)
    tuned = np.array([True] * 10 + [False] * 1 + [True] * 8 + [False] * 5)
    found = mcnemar(base, tuned)
    assert (found["only_base"], found["only_tuned"]) == (1, 8)
    assert found["p"] == pytest.approx(2 * (1 + 9) / 2**9)
    assert mcnemar(base, base)["p"] == 1.0


def test_five_models_and_five_metrics_on_3000_rows_take_seconds(answers, labels):
    models = [answers(3000, right, seed=seed) for seed, right in enumerate((0.3, 0.9, 0.5, 0.8, 0.6))]
    asked = ["accuracy", "f1_macro", "f1_weighted", "mcc"]
    start = time.process_time()
    compare(models[0], models[1], dict(zip("abc", models[2:], strict=True)), asked, labels, seed=0)
    assert time.process_time() - start < 3
