from __future__ import annotations

from luthier.evaluation.classification import confusion, per_class
from luthier.tasks import Prediction


def rows(*pairs: tuple[str, str | None]) -> list[Prediction]:
    return [Prediction(i, "", expected, parsed or "?", parsed) for i, (expected, parsed) in enumerate(pairs)]


def test_the_last_column_counts_invalid_answers():
    found = confusion(rows(("a", "a"), ("a", "b"), ("a", None), ("b", "b"), ("b", None), ("b", None)), ["a", "b"])
    assert found == [[1, 1, 1], [0, 1, 2]]


def test_a_class_is_scored_over_all_its_rows_invalid_ones_too():
    first, second = per_class(rows(("a", "a"), ("a", "a"), ("a", None), ("b", "a")), ["a", "b"])
    assert first == {"label": "a", "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3}
    assert second == {"label": "b", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}


def test_no_expected_class_gets_lost():
    predictions = rows(("a", "a"), ("c", "a"))
    assert confusion(predictions, ["a", "b"]) == [[1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert [scores["label"] for scores in per_class(predictions, ["a", "b"])] == ["a", "b", "c"]
