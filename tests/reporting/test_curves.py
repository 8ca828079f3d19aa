from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

from luthier.reporting.curves import curves


def step(number: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "step", "step": number, **fields}


def evaluation(number: int, **metrics: float) -> dict[str, Any]:
    return {"kind": "evaluation", "step": number, "split": "validation", "metrics": metrics}


def polylines(svg: str) -> list[int]:
    return [len(line.attrib["points"].split()) for line in ElementTree.fromstring(f"<p>{svg}</p>").iter("polyline")]


def test_no_events_no_curves():
    assert curves([]) == []
    assert curves([{"kind": "state", "step": 0, "state": "running"}]) == []


def test_each_recorded_thing_has_its_place():
    events = [step(1, loss=2.0, learning_rate=1e-4), step(2, loss=1.0, learning_rate=1e-4)]
    events += [evaluation(2, accuracy=0.7, loss=0.9, perplexity=8.1, unknown_thing=0.5)]
    found = {curve.title: curve.svg for curve in curves(events)}
    assert list(found) == ["Loss", "Validation", "perplexity", "Learning rate"]
    assert "training, smoothed" in found["Loss"]
    assert "unknown_thing" in found["Validation"]


def test_what_training_came_to_between_evaluations_stands_beside_validation():
    means = {"kind": "evaluation", "step": 2, "split": "train", "metrics": {"loss": 1.5, "perplexity": 4.5}}
    events = [step(1, loss=2.0), step(2, loss=1.0), means, evaluation(2, accuracy=0.7, loss=0.9, perplexity=2.5)]
    found = {curve.title: curve.svg for curve in curves(events)}
    assert set(found) == {"Loss", "perplexity", "Validation"}
    assert "training, mean since the last evaluation, step 2: 1.5" in found["Loss"]
    assert "validation, step 2: 0.9" in found["Loss"]
    assert "perplexity, train, step 2: 4.5" in found["perplexity"]
    assert "perplexity, step 2: 2.5" in found["perplexity"]
    assert "train" not in found["Validation"]


def test_a_long_run_is_thinned_without_losing_its_end():
    (loss,) = curves([step(number, loss=1.0) for number in range(1, 10_001)])
    assert all(200 < count <= 240 for count in polylines(loss.svg))


def test_values_that_are_not_finite_are_left_out():
    (loss,) = curves([step(1, loss=2.0), step(2, loss=math.nan), step(3, loss=1.0)])
    assert polylines(loss.svg) == [2, 2]


def test_smoothing_neither_starts_at_zero_nor_leaves_a_constant():
    (loss,) = curves([step(number, loss=2.0) for number in range(1, 50)])
    heights = {
        pair.split(",")[1]
        for line in ElementTree.fromstring(f"<p>{loss.svg}</p>").iter("polyline")
        for pair in line.attrib["points"].split()
    }
    assert len(heights) == 1


def test_the_best_checkpoint_is_marked_at_its_step():
    events = [step(number, loss=1.0) for number in range(1, 101)]
    assert "best" not in curves(events)[0].svg
    events.append({"kind": "checkpoint", "step": 50, "path": "step-000050", "best": True})
    assert ">best<" in curves(events)[0].svg
