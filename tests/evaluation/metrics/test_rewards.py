"""Rewards of two answers: how often and by how much the better one is ahead, and what else is told of pairs."""

import pytest

from luthier import registry
from luthier.evaluation.comparison import compare
from luthier.evaluation.metrics import applicable
from luthier.tasks import CHOSEN, REJECTED, Prediction


def pairs(*rewards):
    """Answers about pairs, by the rewards of the better and the worse one."""
    made = []
    for number, (better, worse) in enumerate(rewards):
        answer = CHOSEN if better > worse else REJECTED
        made.append(
            Prediction(number, "asked", CHOSEN, answer, answer, {CHOSEN: better, REJECTED: worse}, 0.6 + number, 1)
        )
    return made


FOUND = pairs((0.5, 0.1), (0.2, 0.4), (0.0, 0.0), (1.5, -0.5))


@pytest.mark.parametrize(("name", "value"), [("reward_accuracy", 0.5), ("reward_margin", 0.55)])
def test_accuracy_and_margin(name, value):
    metric = registry.load("metric", name)()
    assert metric.value(FOUND, ()) == pytest.approx(value)
    assert float(metric.from_totals(metric.counts(FOUND, ()).sum(0) * 3)) == pytest.approx(value)
    assert not metric.applies([], ())


def test_what_is_told_of_pairs():
    asked = ["accuracy", "f1_macro"]
    assert list(applicable(asked, FOUND, ())) == ["reward_accuracy", "reward_margin", "loss"]
    shorter = [Prediction(row.row_id, "asked", CHOSEN, CHOSEN, CHOSEN) for row in FOUND]
    assert list(applicable(asked, shorter, ())) == ["reward_accuracy"]
    labels = [Prediction(0, "q", "up", "up", "up", {"up": -0.5, "down": -1.0})]
    assert "reward_accuracy" not in applicable(["reward_accuracy", "reward_margin"], labels, ("up", "down"))


def test_a_model_of_pairs_beside_the_shorter_answer():
    shorter = [
        Prediction(row.row_id, "asked", CHOSEN, answer, answer)
        for row, answer in zip(FOUND, (CHOSEN, CHOSEN, REJECTED, REJECTED), strict=True)
    ]
    found = compare(None, FOUND, {"shorter": shorter}, ["accuracy"], (), seed=1)
    assert found["tuned"]["reward_accuracy"]["value"] == 0.5
    assert found["tuned"]["reward_accuracy"]["low"] < 0.5 < found["tuned"]["reward_accuracy"]["high"]
    assert found["margins"]["shorter"]["reward_accuracy"]["value"] == 0
