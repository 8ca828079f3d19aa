from __future__ import annotations

import json
from pathlib import Path

from luthier.evaluation.results import (
    Answers,
    asking_times,
    assemble,
    primary,
    read_answers,
    write_predictions,
)
from luthier.tasks import Prediction


def test_the_primary_comparison_names_its_first_metric():
    scored, generated = {"tuned": {"mcc": {}, "loss": {}}}, {"tuned": {"accuracy": {}}}
    found = assemble(
        {"validation": {"labels": {"tuned": {}}}, "test": {"labels": scored, "generate": generated}}, "test", "labels"
    )
    assert found["primary"] == {"split": "test", "mode": "labels", "metric": "mcc"}
    assert primary(found) is scored
    assert list(found["results"]["test"]) == ["labels", "generate"]


def test_every_answer_is_a_line_whatever_it_contains(tmp_path: Path):
    path = tmp_path / "evaluation" / "predictions.jsonl"
    right = Prediction(3, "利润增长\u2028", "up", "up\nand more", "up")
    wrong = Prediction(4, "<b>", "down", "\ud7ff?", None)
    write_predictions(
        path, [Answers("base", "test", "labels", [wrong]), Answers("tuned", "test", "labels", [right, wrong])]
    )
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    assert [(line["model"], line["row_id"], line["valid"]) for line in lines] == [
        ("base", 4, False),
        ("tuned", 3, True),
        ("tuned", 4, False),
    ]
    assert read_answers(path, "tuned", "test", "labels") == [right, wrong]
    assert lines[1] == {
        "model": "tuned", "split": "test", "mode": "labels", "row_id": 3, "prompt": "利润增长\u2028",
        "expected": "up", "raw": "up\nand more", "parsed": "up", "valid": True,
        "cut": False, "written": 0, "loss": None, "tokens": 0, "scores": {},
    }  # fmt: skip


def test_times_of_what_took_time():
    one = Prediction(0, "a", "up", "up", "up")
    groups = [Answers("base", "test", "labels", [one, one], 0.5), Answers("majority", "test", "labels", [one])]
    assert asking_times(groups) == {"base": {"labels": {"rows": 2, "seconds": 0.5}}}
    written = Prediction(0, "a", None, "up it goes", "up it goes", written=4)
    groups = [Answers("tuned", "test", "generate", [written, written], 2.0)]
    assert asking_times(groups) == {"tuned": {"generate": {"rows": 2, "seconds": 2.0, "tokens": 8}}}


def test_a_metric_without_a_direction_does_not_decide():
    facts = {"answer_length": {"higher_is_better": None}, "rouge_l": {"higher_is_better": True}}
    comparison = {"tuned": {"answer_length": {}, "rouge_l": {}}, "metrics": facts}
    assert assemble({"test": {"generate": comparison}}, "test", "generate")["primary"]["metric"] == "rouge_l"
