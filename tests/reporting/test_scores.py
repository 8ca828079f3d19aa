from __future__ import annotations

import pytest

from luthier.reporting.scores import confusions, whiskers


def comparison(value: float, low: float, high: float) -> dict[str, object]:
    score = {"accuracy": {"value": value, "low": low, "high": high}}
    return {
        "metrics": {"accuracy": {"title": "accuracy", "higher_is_better": True}},
        "base": None,
        "tuned": score,
        "baselines": {},
    }


def test_shares_stand_on_an_axis_from_zero_to_one():
    (line,) = whiskers(comparison(0.5, 0.4, 0.7), "accuracy").lines
    assert (line.dot, line.left, line.width) == (50, 40, pytest.approx(30))


def test_other_scores_get_an_axis_with_room_for_them():
    found = whiskers(comparison(34.0, 31.0, 38.5), "accuracy")
    assert found.axis[0] == (0, "30")
    assert found.axis[-1] == (100, "40")
    assert found.lines[0].dot == pytest.approx(40)


def test_the_column_of_invalid_answers_stands_in_both_matrices_or_in_none():
    some = {"classes": ["a", "b"], "confusion": {"base": [[1, 0, 3], [0, 2, 0]], "tuned": [[4, 0, 0], [1, 1, 0]]}}
    base, tuned = confusions(some)
    assert list(base.columns) == list(tuned.columns) == ["a", "b", "invalid"]
    assert base.rows[0] == ("a", [(1, 0.25, True), (0, 0.0, False), (3, 0.75, False)])
    some["confusion"] = {"tuned": [[4, 0, 0], [1, 1, 0]]}
    (tuned,) = confusions(some)
    assert list(tuned.columns) == ["a", "b"]
    assert confusions({}) == []
