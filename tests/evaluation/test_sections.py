"""Parts of answers under headings."""

import json

import pytest

from luthier.evaluation.sections import compare_sections, section_metrics, section_scores, split_sections
from luthier.tasks import Prediction

HEADINGS = {"good": r"^\[Good\]:?", "bad": r"^\[Bad\]:?", "prediction": r"^Prediction:"}
RIGHT = "[Good]:\nSales rose.\nCosts fell.\n\n[Bad]:\nA plant closed.\nPrediction: up by 1-2 %"


def row(number, said, right=RIGHT):
    return Prediction(number, "request", right, said, said)


def test_a_part_goes_from_its_heading_to_the_next():
    assert split_sections(RIGHT, HEADINGS) == {
        "good": "Sales rose.\nCosts fell.",
        "bad": "A plant closed.",
        "prediction": "up by 1-2 %",
    }


def test_the_order_of_the_text_counts_and_headings_stand_at_the_beginning_of_a_line():
    text = "Prediction: down\nnot a [Good]: one\n[Bad] debts grew"
    assert split_sections(text, HEADINGS) == {"prediction": "down\nnot a [Good]: one", "bad": "debts grew"}
    assert split_sections("", HEADINGS) == {}


def test_chinese_headings():
    headings = {"利好": "^【利好】", "风险": "^【风险】"}
    assert split_sections("【利好】\n利润增长\n【风险】\n成本上升", headings) == {
        "利好": "利润增长",
        "风险": "成本上升",
    }


def test_every_part_is_scored_by_itself_and_a_missing_one_counts_as_empty():
    tuned = [row(0, RIGHT), row(1, "[Good]:\nSales rose.\nCosts fell.\nPrediction: down")]
    base = [row(0, "I cannot say"), row(1, "I cannot say")]
    found = compare_sections(base, tuned, HEADINGS, ["accuracy"], seed=0)
    assert {part: each["tuned"]["rouge_1"]["value"] for part, each in found.items()} == {
        "good": 1.0,
        "bad": 0.5,
        "prediction": 0.5,
    }
    assert found["bad"]["missing"] == {"tuned": 0.5, "base": 1.0}
    assert found["good"]["base"]["rouge_l"]["value"] == 0
    assert found["good"]["difference"]["rouge_l"]["value"] == 1.0
    json.dumps(found, allow_nan=False)


def test_parts_that_no_right_answer_has_are_left_out_and_rows_without_them_too():
    rows = [row(0, "Prediction: up", "Prediction: up"), row(1, "[Bad] x", "[Bad] x")]
    found = compare_sections(None, rows, HEADINGS, [], seed=0)
    assert {part: each["rows"] for part, each in found.items()} == {"bad": 1, "prediction": 1}
    assert found["bad"]["base"] is None


def test_the_metrics_of_texts_among_those_asked_for():
    assert section_metrics(["accuracy", "chrf", "f1_macro", "token_f1"]) == ("chrf", "token_f1")
    assert section_metrics(["accuracy"]) == ("rouge_1", "rouge_2", "rouge_l")


def test_scores_while_training_are_named_by_part_and_metric():
    scores = section_scores([row(0, RIGHT), row(1, "[Bad] A plant closed.")], HEADINGS, ["rouge_l"])
    assert scores == {
        "good/rouge_l": pytest.approx(0.5),
        "bad/rouge_l": pytest.approx(1.0),
        "prediction/rouge_l": pytest.approx(0.5),
    }
