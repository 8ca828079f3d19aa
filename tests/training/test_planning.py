"""Plans, measured on the tiny models."""

import time
from dataclasses import fields

import pytest

from luthier.methods import count_parameters
from luthier.training.planning import Plan, make_plan

pytestmark = pytest.mark.integration

PARTS = {"preparing", "loading", "training", "evaluating during training", "evaluating at the end", "all"}


def test_a_plan_says_what_the_run_will_do(bench):
    materials = bench.materials(training={"epochs": 3, "batch_size": 16, "micro_batch": 4})
    before = sorted(path.name for path in bench.folder.iterdir())
    said = []
    started = time.perf_counter()
    plan = make_plan(materials, 1.5, lambda phase, done, total: said.append(phase))
    assert time.perf_counter() - started < 30, "seconds, also on a busy machine"

    prepared = materials.prepared
    assert plan.rows == {name: len(getattr(prepared, name)) for name in ("train", "validation", "test")}
    assert plan.tokens["train"] == sum(len(row.ids) for row in prepared.train)
    assert plan.supervised == sum(sum(row.supervised) for row in prepared.train)
    assert plan.longest == max(len(row.ids) for row in prepared.train)
    assert sum(plan.labels.values()) == plan.rows["train"]
    trainer = bench.trainer(materials)
    assert (plan.trainable, plan.parameters) == count_parameters(trainer.network)
    assert plan.steps == trainer.total == 9
    computed = [
        micro.computed for step in range(1, 10) for micro in trainer.session.choice.engine.batches(trainer.rows(step))
    ]
    assert plan.longest_micro_batch == (4, max(computed))
    assert plan.memory_mb > 100
    assert plan.seconds.keys() == PARTS
    assert plan.seconds["preparing"] == 1.5
    assert plan.seconds["all"] == pytest.approx(sum(v for k, v in plan.seconds.items() if k != "all"), abs=0.4)
    assert set(plan.to_dict()) == {field.name for field in fields(Plan)}
    assert [warning.split(" is ")[0] for warning in plan.warnings] == ["training.learning_rate"]
    assert "measuring training steps" in said
    after = {path.name for path in bench.folder.iterdir()}
    assert after - {"run"} == set(before), "nothing was written beside the configuration"


def test_a_classifier_is_planned_without_asking_its_base(bench, monkeypatch):
    from luthier.evaluation.evaluate import Examiner

    asked = []
    answers = Examiner.answers

    def watched(self, model, network, progress=None, *, renderer=None):
        asked.append(renderer)
        return answers(self, model, network, progress, renderer=renderer)

    monkeypatch.setattr(Examiner, "answers", watched)
    plan = make_plan(bench.materials("bert", task="sequence_classification"), 0.0)
    assert set(asked) == {None}, "no examples in a prompt"
    assert plan.supervised == 0
    assert plan.seconds["all"] > 0


def test_without_held_out_rows_nothing_is_evaluated(bench):
    plan = make_plan(bench.materials(data={"split": {"test": 0, "validation": 0}}), 0.0)
    assert plan.rows["validation"] == plan.rows["test"] == 0
    assert plan.seconds["evaluating during training"] == plan.seconds["evaluating at the end"] == 0.0
