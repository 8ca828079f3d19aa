"""Races on the tiny models."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from luthier.errors import ConfigError, TrainingError
from luthier.runs import Run
from luthier.training import race
from luthier.training.loop import Trainer
from luthier.training.race import Turn, contestants, judge, run_race
from luthier.training.race.contestants import CONTESTANTS, accumulation, stock_batches

PACKED = {"pack": True, "max_length": 256}


def turn(contestant, losses, seconds, memory=100.0, dropout=False):
    count = len(losses)
    return Turn(contestant, ["about"], losses, seconds, [8] * count, [80] * count, 1.0, memory, dropout)


def test_the_first_step_of_a_turn_is_not_counted_and_rounds_are_added(bench):
    config = bench.materials().config
    found = judge(
        config,
        4.0,
        [
            turn("luthier", [3.0, 2.0, 1.0], [9.0, 1.0, 1.0], memory=50.0),
            turn("trainer", [3.0, 2.5], [9.0, 4.0]),
            turn("luthier", [3.0, 2.0], [9.0, 2.0], memory=60.0),
            turn("trainer", [3.0, 2.5], [9.0, 4.0]),
        ],
    )
    assert found.luthier.rows_per_second == 8 * 3 / 4
    assert found.luthier.tokens_per_second == 80 * 3 / 4
    assert found.trainer.rows_per_second == 2.0
    assert found.speed_ratio == 3.0
    assert found.luthier.peak_memory_mb == 60.0
    assert found.memory_ratio == 0.6
    assert [at["step"] for at in found.losses] == [1, 2]
    assert found.largest_difference == 0.5
    assert found.luthier.steps == 5


def test_a_turn_of_one_step_counts(bench):
    turns = [turn("luthier", [3.0], [2.0]), turn("trainer", [3.0], [4.0])]
    assert judge(bench.materials().config, 1.0, turns).speed_ratio == 2.0


def test_dropout_is_said(bench):
    config = bench.materials().config
    for dropout in (False, True):
        turns = [turn(name, [3.0], [2.0], dropout=dropout) for name in CONTESTANTS]
        assert any("there is dropout" in words for words in judge(config, 1.0, turns).settings) is dropout


@pytest.fixture
def both(bench):
    """Both contestants' turns, in this process."""

    def train(materials, budget):
        materials = replace(materials, config=race.undisturbed(materials.config))
        turns = []
        for name, contestant in CONTESTANTS.items():
            run = Run(bench.folder / name)
            run.path.mkdir()
            turns.append(contestant(materials, run, budget))
        return turns

    return train


def without_dropout(folder, bert):
    calm = shutil.copytree(bert, folder / "calm-bert")
    config = json.loads((calm / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (calm / "config.json").write_text(json.dumps(config))
    return calm


@pytest.mark.integration
@pytest.mark.parametrize("base", ["llama", "bert"])
def test_both_learn_the_same(bench, both, base):
    """Gradients are accumulated over two parts; the last step of an epoch is smaller."""
    parts = {"training": {"micro_batch": 4, "optimizer": {"name": "adamw", "weight_decay": 0.1}}}
    if base == "bert":
        bench.models["bert"] = without_dropout(bench.folder, bench.models["bert"])
        parts["task"] = "sequence_classification"
    ours, theirs = both(bench.materials(base, **parts), 100.0)
    assert len(ours.losses) == 12
    assert theirs.losses == pytest.approx(ours.losses, abs=2e-4)
    assert abs(ours.losses[0] - ours.losses[-1]) > 0.02, "something was learned, or equal losses would mean nothing"
    assert theirs.rows == ours.rows
    assert theirs.tokens == ours.tokens
    assert len(set(ours.rows)) == 2
    assert not ours.dropout


@pytest.mark.integration
def test_dropout_is_seen(bench, both):
    ours, theirs = both(bench.materials(method={"name": "lora", "dropout": 0.1}, training={"max_steps": 1}), 1.0)
    assert ours.dropout
    assert theirs.dropout


@pytest.mark.integration
def test_time_ends_a_turn(bench, both):
    materials = bench.materials(training={"epochs": 1000})
    for found in both(materials, 0.3):
        assert sum(found.seconds[:-1]) < 0.3 <= sum(found.seconds)


def test_the_stock_trainer_takes_steps_whole_where_they_fit(bench):
    session = bench.trainer(bench.materials()).session
    assert accumulation(session) == 1
    whole = stock_batches(session, 1)
    assert whole == [session.order.rows(step) for step in range(1, session.total_steps + 1)]
    session = bench.trainer(bench.materials(training={"micro_batch": 3}), "small").session
    assert accumulation(session) == 4
    parts = stock_batches(session, 4)
    assert [len(part) for part in parts[:4]] == [2, 2, 2, 2]
    assert [row for part in parts[:4] for row in part] == session.order.rows(1)


def test_a_step_with_too_few_rows_ends_the_stock_trainers_race(bench):
    session = bench.trainer(bench.materials(training={"batch_size": 8})).session
    short = [len(session.order.rows(step)) for step in range(1, session.total_steps + 1)]
    assert min(short) < 8
    assert len(stock_batches(session, 8)) == 8 * short.index(min(short))


@pytest.mark.parametrize("micro_batch", ["auto", 2, 1])
def test_no_part_of_packed_rows_is_larger_than_allowed(bench, monkeypatch, micro_batch):
    """A step of 8 packs holds many more rows, now more, now fewer."""
    monkeypatch.setattr(contestants, "TOKENS_AT_ONCE", 256)
    session = bench.trainer(bench.materials(data=PACKED, training={"micro_batch": micro_batch})).session
    rows = [session.order.rows(step) for step in range(1, session.total_steps + 1)]
    assert len(rows[0]) > 16
    parts = accumulation(session)
    batches = stock_batches(session, parts)
    assert [row for part in batches for row in part] == [row for step in rows[: len(batches) // parts] for row in step]
    if micro_batch == "auto":
        assert max(map(len, batches)) * int(session.order.lengths.max()) <= 256
    else:
        assert max(map(len, batches)) <= 2


@pytest.mark.integration
def test_both_learn_the_same_from_packed_rows(bench, both):
    ours, theirs = both(bench.materials(data=PACKED, training={"micro_batch": 3}), 100.0)
    assert theirs.rows == ours.rows
    assert len(set(ours.rows)) > 1
    assert theirs.losses == pytest.approx(ours.losses, abs=2e-4)
    assert "up to 3 rows at once" in theirs.about[0]


@pytest.mark.integration
def test_what_is_computed_once_is_charged_to_all_steps(bench, both, monkeypatch):
    """On a clock that stands still but for what happens before the first step."""
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr(contestants, "time", clock)
    monkeypatch.setattr(Trainer, "begin", lambda *_: setattr(clock, "now", clock.now + 6.0))
    ours, theirs = both(bench.materials(), 100.0)
    assert ours.seconds == [6.0 / 12] * 12
    assert theirs.seconds == [0.0] * 12


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"method": {"name": "full"}}, "adapters of peft"),
        ({"method": {"name": "adalora"}}, "adalora cannot race: it has a part in the loop"),
        ({"training": {"schedule": "plateau"}}, "plateau cannot race: it goes by validation scores"),
        ({"task": "other"}, "loss from labels"),
    ],
)
def test_what_cannot_race(bench, parts, words):
    materials = bench.materials(**({} if "task" in parts else parts))
    if "task" in parts:
        config = materials.config
        unknown = config.task.model_copy(update={"name": "other"})
        materials = replace(materials, config=config.model_copy(update={"task": unknown}))
    with pytest.raises(ConfigError, match=words):
        run_race(materials, 1.0)


@pytest.mark.integration
def test_processes_take_turns(bench):
    said = []
    found = run_race(bench.materials(), 0.4, lambda phase, done, total: said.append((phase, done, total)))
    assert said == [("racing", done, 4) for done in range(5)]
    assert found.luthier.peak_memory_mb > 100
    assert found.luthier.steps >= 2
    assert found.largest_difference < 1e-3
    assert found.losses
    assert found.speed_ratio == pytest.approx(found.luthier.rows_per_second / found.trainer.rows_per_second, rel=0.02)


@pytest.mark.integration
def test_a_contestant_that_fails_says_why(bench):
    materials = bench.materials(training={"learning_rate": 1e30, "max_grad_norm": None, "epochs": 20})
    with pytest.raises(TrainingError, match=r"Luthier failed: the (loss|gradient) of step"):
        run_race(materials, 60.0)
