from __future__ import annotations

import json

import pytest

from luthier.evaluation.comparison import compare
from luthier.tasks import Prediction

ASKED = ["accuracy", "f1_macro"]


def test_scores_differences_and_margins_stand_side_by_side(answers, labels):
    base, tuned, linear = answers(300, 0.2, seed=1), answers(300, 0.95, seed=2), answers(300, 0.7, seed=3)
    found = compare(base, tuned, {"tfidf": linear}, ASKED, labels, seed=0)
    assert found["rows"] == 300
    assert list(found["tuned"]) == ["accuracy", "f1_macro", "invalid", "loss"]
    assert found["metrics"]["invalid"] == {"title": "invalid answers", "higher_is_better": False}
    for model in (found["base"], found["tuned"], found["baselines"]["tfidf"]):
        assert model["accuracy"]["low"] < model["accuracy"]["value"] < model["accuracy"]["high"]
    difference = found["difference"]["accuracy"]
    assert difference["value"] == pytest.approx(
        found["tuned"]["accuracy"]["value"] - found["base"]["accuracy"]["value"]
    )
    assert difference["low"] > 0
    assert difference["p"] < 0.01
    assert 0 < found["margins"]["tfidf"]["accuracy"]["value"] < difference["value"]
    assert found["mcnemar"]["only_tuned"] > found["mcnemar"]["only_base"]
    json.dumps(found, allow_nan=False)


def test_the_same_seed_gives_the_same_numbers(answers, labels):
    models = answers(100, 0.3, seed=1), answers(100, 0.9, seed=2)
    assert compare(*models, {}, ASKED, labels, seed=4) == compare(*models, {}, ASKED, labels, seed=4)


def test_without_a_base_there_is_no_difference(answers, labels):
    found = compare(None, answers(50, 0.9), {}, ASKED, labels, seed=0)
    assert found["base"] is None
    assert found["difference"] is None
    assert "mcnemar" not in found
    assert list(found["confusion"]) == ["tuned"]


def test_a_metric_that_only_one_model_has_is_not_compared(answers, labels):
    silent = [Prediction(row.row_id, row.text, row.expected, row.raw, row.parsed) for row in answers(50, 0.5)]
    found = compare(silent, answers(50, 0.9), {"majority": silent}, ["accuracy"], labels, seed=0)
    assert "loss" in found["tuned"]
    assert "loss" not in found["difference"]
    assert "loss" not in found["margins"]["majority"]


def test_documents_are_compared_by_perplexity_alone():
    base = [Prediction(i, "", None, "", None, {}, 4.0 + i, 2) for i in range(20)]
    tuned = [Prediction(i, "", None, "", None, {}, 3.0 + i, 2) for i in range(20)]
    found = compare(base, tuned, {}, ASKED, [], seed=0)
    assert list(found["tuned"]) == ["loss", "perplexity"]
    assert found["difference"]["loss"]["value"] == pytest.approx(-0.5)
    assert "confusion" not in found


def test_other_rows_are_refused(answers, labels):
    with pytest.raises(ValueError, match="not about the same rows"):
        compare(answers(50, 0.9)[::-1], answers(50, 0.9), {}, ASKED, labels, seed=0)
    with pytest.raises(ValueError, match="'baseline majority'"):
        compare(None, answers(50, 0.9), {"majority": answers(49, 0.9)}, ASKED, labels, seed=0)


def test_no_rows_give_no_scores(labels):
    assert compare([], [], {}, ASKED, labels, seed=0)["tuned"] == {}


@pytest.mark.parametrize("form", ["labels", "tags", "number"])
def test_only_plain_labels_have_tables_of_classes(form):
    parts = {"labels": ("a | b", ["a", "b"]), "tags": ("a b", ["a", "b"]), "number": ("0.5", [])}
    text, allowed = parts[form]
    found = compare(
        None, [Prediction(n, "x y", text, text, text, form=form) for n in range(5)], {}, [], allowed, seed=0
    )
    assert found["form"] == form
    assert not {"classes", "per_class", "confusion"} & set(found)
    json.dumps(found, allow_nan=False)
