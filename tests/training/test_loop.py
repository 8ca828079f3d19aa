"""The loop on a tiny Llama: what a step computes, and that it computes the same however it is run."""

import json
import math
from collections import Counter

import pytest
import torch

from luthier import registry
from luthier.errors import ConfigError, Interrupted, TrainingError

pytestmark = pytest.mark.integration

NEVER = {"every": None, "samples": 0}
DROPOUT = {"method": {"name": "lora", "rank": 4, "dropout": 0.1}}


def test_same_seed_same_weights(bench, weights, same):
    materials = bench.materials(**DROPOUT, training={"max_steps": 4}, evaluation={"every": None})
    found = {}
    for name in ("one", "two"):
        trainer = bench.trainer(materials, name)
        trainer.fit()
        found[name] = weights(trainer)
    assert same(found["one"], found["two"])
    assert any(bool(value.any()) for name, value in found["one"].items() if "lora_B" in name), "it learned something"


def test_another_seed_other_weights(bench, weights, same):
    found = []
    for seed in (1, 2):
        trainer = bench.trainer(bench.materials(training={"max_steps": 2, "seed": seed}), f"seed-{seed}")
        trainer.fit()
        found.append(weights(trainer))
    assert not same(*found)


def test_the_micro_batch_changes_nothing(bench, events):
    curves = {}
    for size in (16, 4, "auto"):
        training = {"batch_size": 16, "micro_batch": size, "learning_rate": 3e-3}
        trainer = bench.trainer(
            bench.materials(training=training, evaluation={"every": None, "samples": 0}), f"micro-{size}"
        )
        trainer.fit()
        curves[size] = [(event["loss"], event["grad_norm"]) for event in events(trainer)]
    lengths = bench.materials().prepared.train.lengths
    assert len(set(lengths)) > 10, "rows of uneven length"
    assert len(curves[16]) == 6
    for size in (4, "auto"):
        assert [loss for loss, _ in curves[size]] == pytest.approx([loss for loss, _ in curves[16]], abs=1e-4)
        assert [norm for _, norm in curves[size]] == pytest.approx([norm for _, norm in curves[16]], rel=1e-3)


def test_a_step_is_what_plain_libraries_compute(bench, tiny_llama):
    """Loss and gradient: each row alone, summed over supervised tokens, divided by their number in the whole step."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    trainer = bench.trainer(bench.materials(training={"micro_batch": 3, "max_grad_norm": None}))
    rows = [trainer.materials.prepared.train[row] for row in trainer.session.order.rows(1)]
    loss, norm, tokens = trainer.gradient(1)

    plain = AutoModelForCausalLM.from_pretrained(str(tiny_llama), dtype=torch.float32)
    torch.manual_seed(7)
    plain = get_peft_model(plain, LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules="all-linear"))
    assert len({sum(row.supervised) for row in rows}) > 1, "rows count differently"
    count = sum(sum(row.supervised) for row in rows)
    expected = 0.0
    for row in rows:
        logits = plain(torch.tensor([list(row.ids)])).logits[0, :-1]
        learned = torch.tensor(list(row.supervised)[1:])
        targets = torch.tensor(list(row.ids)[1:])
        part = torch.nn.functional.cross_entropy(logits[learned], targets[learned], reduction="sum") / count
        part.backward()
        expected += float(part.detach())

    assert loss == pytest.approx(expected, abs=1e-5)
    assert tokens == sum(len(row.ids) for row in rows)
    gradients = {name: p.grad for name, p in plain.named_parameters() if p.requires_grad}
    ours = {name: p.grad for name, p in trainer.network.named_parameters() if p.requires_grad}
    assert ours.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-5, rtol=1e-4)
    assert norm == pytest.approx(math.sqrt(sum(float((g**2).sum()) for g in gradients.values())), rel=1e-4)


def test_gradients_are_clipped(bench):
    trainer = bench.trainer(bench.materials(training={"max_grad_norm": 0.01}))
    _, norm, _ = trainer.gradient(1)
    clipped = math.sqrt(sum(float((p.grad**2).sum()) for p in trainer.network.parameters() if p.requires_grad))
    assert norm > 1, "as it was before"
    assert clipped == pytest.approx(0.01, rel=1e-3)


def interrupt_after(trainer, step, how=None):
    """The interrupt arrives while that step is computed."""
    import signal

    gradient = trainer.gradient

    def interrupted(number):
        if number == step:
            signal.raise_signal(how or signal.SIGINT)
        return gradient(number)

    trainer.gradient = interrupted


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
def test_interrupted_and_resumed_is_as_if_nothing_had_happened(bench, weights, same, events, signal_name):
    import signal

    materials = bench.materials(**DROPOUT, training={"max_steps": 9})
    whole = bench.trainer(materials, "whole")
    whole.fit()

    first = bench.trainer(materials, "parts")
    interrupt_after(first, 4, getattr(signal, signal_name))
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="after step 4 of 9") as stopped:
        first.fit()
    assert signal.getsignal(signal.SIGINT) == handler, "Ctrl-C is the shell's again"
    assert "luthier train --resume" in stopped.value.hint
    torch.rand(5)
    second = bench.trainer(materials, "parts")
    assert second.resume()
    assert second.session.progress.step == 4
    second.fit()

    assert same(weights(whole), weights(second))
    told, expected = events(second), events(whole)
    assert [event["step"] for event in told] == list(range(1, 10))
    assert [event["loss"] for event in told] == [event["loss"] for event in expected]
    measured = [[(e["step"], e["split"], e["metrics"]) for e in events(t, "evaluation")] for t in (second, whole)]
    assert measured[0] == measured[1]
    assert [(step, split) for step, split, _ in measured[0]][:2] == [(3, "train"), (3, "validation")]
    assert second.session.progress.tokens == whole.session.progress.tokens


def test_killed_between_checkpoints_it_goes_back_and_tells_each_step_once(bench, weights, same, events):
    materials = bench.materials(**DROPOUT, training={"max_steps": 8, "checkpoint": {"every": 3}})
    whole = bench.trainer(materials, "whole")
    whole.fit()

    first = bench.trainer(materials, "parts")
    step = first.step
    first.step = lambda: step() if first.session.progress.step < 5 else (_ for _ in ()).throw(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    second = bench.trainer(materials, "parts")
    second.resume()
    assert second.session.progress.step < 5
    assert [event["step"] for event in events(second)] == list(range(1, second.session.progress.step + 1))
    second.fit()

    assert same(weights(whole), weights(second))
    assert [event["step"] for event in events(second)] == list(range(1, 9))
    assert [event["loss"] for event in events(second)] == [event["loss"] for event in events(whole)]


@pytest.mark.parametrize(
    "method", [{"name": "full"}, {"name": "lora", "rank": 8, "plus_ratio": 16}], ids=["full", "lora+"]
)
@pytest.mark.parametrize("name", registry.names("optimizer"))
def test_every_optimizer_learns_and_goes_on_bit_for_bit(bench, weights, same, events, name, method):
    if name in ("adamw_8bit", "lion"):
        pytest.importorskip("bitsandbytes", reason="an optimiser of bitsandbytes")
    training = {"max_steps": 5, "learning_rate": 1e-3, "optimizer": {"name": name}}
    materials = bench.materials(method=method, training=training, evaluation=NEVER)
    whole = bench.trainer(materials, "whole")
    before = weights(whole)
    whole.fit()
    assert not same(before, weights(whole))
    assert len({group["lr"] for group in whole.optimizer.param_groups}) == (2 if "plus_ratio" in method else 1)

    first = bench.trainer(materials, "parts")
    interrupt_after(first, 2)
    with pytest.raises(Interrupted):
        first.fit()
    second = bench.trainer(materials, "parts")
    assert second.resume()
    second.fit()
    assert same(weights(whole), weights(second))
    assert [event["loss"] for event in events(whole)] == [event["loss"] for event in events(second)]


def test_killed_before_the_first_checkpoint_it_begins_again_and_tells_each_step_once(bench, events):
    materials = bench.materials(training={"max_steps": 4, "checkpoint": {"every": None}}, evaluation={"every": None})
    first = bench.trainer(materials)
    step = first.step
    first.step = lambda: step() if first.session.progress.step < 2 else (_ for _ in ()).throw(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    assert len(events(first)) == 2
    second = bench.trainer(materials)
    assert not second.resume()
    second.fit()
    assert [event["step"] for event in events(second)] == [1, 2, 3, 4]
    assert [event["step"] for event in events(second, "samples")] == [0, 4]


def test_nothing_to_resume(bench):
    assert not bench.trainer(bench.materials()).resume()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_touches_nothing(bench, weights, same, events, monkeypatch, value):
    materials = bench.materials(training={"micro_batch": 2})
    trainer = bench.trainer(materials)
    step3 = {materials.prepared.train[row].row_id for row in trainer.session.order.rows(3)}
    bad = sorted(step3)[3]
    engine = trainer.session.choice.engine
    loss = engine.loss

    def poisoned(micro):
        return loss(micro) * (value if bad in micro.batch.row_ids else 1.0)

    monkeypatch.setattr(engine, "loss", poisoned)
    before = {}
    gradient = trainer.gradient

    def watched(number):
        before.update(step=number, weights=weights(trainer))
        return gradient(number)

    trainer.gradient = watched
    with pytest.raises(TrainingError, match=r"the loss of step 3 is (nan|inf)") as stopped:
        trainer.fit()
    assert stopped.value.exit_code == 5
    assert str(bad) in stopped.value.where.replace(",", " ").split()
    assert before["step"] == 3
    assert same(before["weights"], weights(trainer))
    assert all(p.grad is None for p in trainer.network.parameters())
    assert [event["step"] for event in events(trainer)] == [1, 2]


def test_a_gradient_that_is_not_finite_touches_nothing(bench, weights, same):
    trainer = bench.trainer(bench.materials())
    before = weights(trainer)
    parameter = next(p for p in trainer.network.parameters() if p.requires_grad)
    parameter.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(TrainingError, match="the gradient of step 1"):
        trainer.fit()
    assert same(before, weights(trainer))


def test_learning_rate_rises_and_falls(bench, events):
    schedule = {"name": "linear", "warmup": 2}
    trainer = bench.trainer(bench.materials(training={"epochs": 9, "max_steps": 6, "schedule": schedule}))
    trainer.fit()
    rates = [event["learning_rate"] for event in events(trainer)]
    assert len(rates) == 6
    peak = rates.index(max(rates))
    assert rates[peak] == pytest.approx(1e-2)
    assert peak <= 2
    assert rates[: peak + 1] == sorted(set(rates[: peak + 1]))
    assert rates[peak:] == sorted(set(rates[peak:]), reverse=True)


def test_a_constant_schedule_stays(bench, events):
    trainer = bench.trainer(bench.materials(training={"max_steps": 4, "schedule": {"name": "constant", "warmup": 0}}))
    trainer.fit()
    assert [event["learning_rate"] for event in events(trainer)] == [1e-2] * 4


def test_oversampling_reaches_the_loop(bench, tmp_path, labelled_file):
    lines = labelled_file.read_text().splitlines()
    flat = [line for line in lines if '"flat"' in line]
    uneven = tmp_path / "uneven.jsonl"
    uneven.write_text("\n".join(line for line in lines if line not in flat[6:]))
    data = {"train": str(uneven), "split": {"test": 0, "validation": 0, "by": "random"}, "balance": "oversample"}
    materials = bench.materials(data=data, training={"epochs": 1})
    trainer = bench.trainer(materials)
    taken = Counter()
    collate = materials.task.collate

    def counted(rows, pad_id, labels):
        taken.update(row.label for row in rows)
        return collate(rows, pad_id, labels)

    materials.task.collate = counted
    trainer.fit()
    assert Counter(materials.prepared.train.labels)["flat"] == 6
    assert len(set(taken.values())) == 1
    assert taken["flat"] == Counter(materials.prepared.train.labels)["up"]


def scripted(trainer, scores):
    """Lets validation give these scores, one after another, instead of the model's."""
    remaining = iter(scores)
    object.__setattr__(trainer.judge, "score", lambda network: next(remaining))


EVERY_STEP = {"every": 1, "samples": 0, "best": "loss"}

PAIRS = {"labels": None, "instruction": None, "split": {"test": 0.1, "validation": 0.2, "by": "random", "seed": 1}}


def pairs_of(bench):
    """Gives the bench rows of prompts and free answers."""
    pairs = [{"prompt": f"Say {n}, please", "response": f"Here it is: number {n}."} for n in range(30)]
    bench.rows = bench.folder / "pairs.jsonl"
    bench.rows.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))


def test_early_stopping_waits_for_its_patience(bench, events):
    stopping = {"metric": "loss", "patience": 2}
    materials = bench.materials(training={"max_steps": 10, "early_stopping": stopping}, evaluation=EVERY_STEP)
    trainer = bench.trainer(materials)
    losses = [3.0, 2.0, 2.5, 1.9, 2.0, 1.9, 0.1]
    scripted(trainer, [{"accuracy": 0.1 * number, "loss": loss} for number, loss in enumerate(losses)])
    trainer.fit()
    assert [event["step"] for event in events(trainer)] == [1, 2, 3, 4, 5, 6]
    assert trainer.checkpoints.latest() == trainer.checkpoints.path(6), "the state it stopped in is kept"


def test_a_run_that_stopped_early_does_not_go_on_when_resumed(bench, events, weights, same):
    stopping = {"metric": "loss", "patience": 2}
    materials = bench.materials(training={"max_steps": 10, "early_stopping": stopping}, evaluation=EVERY_STEP)
    trainer = bench.trainer(materials)
    scripted(trainer, [{"loss": loss} for loss in [3.0, 2.0, 2.5, 2.5]])
    trainer.fit()
    again = bench.trainer(materials)
    again.resume()
    again.fit()
    assert [event["step"] for event in events(again)] == [1, 2, 3, 4]
    assert same(weights(trainer), weights(again))


PLATEAU = {"name": "plateau", "warmup": 0, "patience": 1, "factor": 0.5}


def test_a_plateau_lowers_the_rate_also_after_an_interruption(bench, weights, same, events):
    losses = [3.0, 3.1, 2.0, 2.5, 2.5, 2.5]
    materials = bench.materials(training={"max_steps": 6, "schedule": PLATEAU}, evaluation=EVERY_STEP)
    whole = bench.trainer(materials, "whole")
    scripted(whole, [{"loss": loss} for loss in losses])
    whole.fit()
    assert [event["learning_rate"] for event in events(whole)] == [1e-2, 1e-2, 5e-3, 5e-3, 2.5e-3, 1.25e-3]

    first = bench.trainer(materials, "parts")
    scripted(first, [{"loss": loss} for loss in losses[:4]])
    interrupt_after(first, 4)
    with pytest.raises(Interrupted):
        first.fit()
    second = bench.trainer(materials, "parts")
    scripted(second, [{"loss": loss} for loss in losses[4:]])
    second.resume()
    second.fit()
    assert [event["learning_rate"] for event in events(second)] == [event["learning_rate"] for event in events(whole)]
    assert same(weights(whole), weights(second))


WATCHING = {"early_stopping": {"patience": 2}, "schedule": PLATEAU}


@pytest.mark.parametrize("part", WATCHING)
@pytest.mark.parametrize("parts", [{"evaluation": NEVER}, {"data": {"split": {"test": 0, "validation": 0}}}])
def test_what_goes_by_scores_is_refused_without_any(bench, part, parts):
    with pytest.raises(ConfigError, match=f"training.{part} goes by validation scores"):
        bench.trainer(bench.materials(training={part: WATCHING[part]}, **parts))


@pytest.mark.parametrize("part", WATCHING)
def test_a_metric_that_validation_does_not_give_is_refused_before_the_first_step(bench, part):
    materials = bench.materials(training={part: {**WATCHING[part], "metric": "perplexity"}}, evaluation=EVERY_STEP)
    with pytest.raises(ConfigError, match="'perplexity' cannot be computed") as refused:
        bench.trainer(materials)
    assert refused.value.where == f"training.{part}.metric"
    assert "accuracy" in refused.value.expected
    with pytest.raises(ConfigError, match="'bleu' cannot be computed") as refused:
        bench.trainer(bench.materials(evaluation={**EVERY_STEP, "best": "bleu"}))
    assert refused.value.where == "evaluation.best"


def test_early_stopping_and_a_plateau_watch_the_metric_of_the_best_where_answers_are_written_first(bench, events):
    pairs_of(bench)
    asked = {"every": 1, "samples": 0, "modes": ["generate", "likelihood"], "best": "token_f1", "metrics": ["token_f1"]}
    materials = bench.materials(data=PAIRS, training={"max_steps": 2, **WATCHING}, evaluation=asked)
    trainer = bench.trainer(materials)
    assert set(trainer.watched.values()) == {"token_f1"}
    trainer.fit()
    told = [event for event in events(trainer, "evaluation") if event["split"] == "validation"]
    assert [set(event["metrics"]) for event in told] == [{"token_f1"}] * 2


def test_a_time_limit_ends_with_an_evaluation_and_a_checkpoint(bench, events, weights, same):
    materials = bench.materials(training={"max_steps": 9, "time_limit": 1}, evaluation={"every": None})
    trainer = bench.trainer(materials)
    step = trainer.step

    def slow():
        step()
        if trainer.session.progress.step == 3:
            clock[0] += 61

    clock = [0.0]
    trainer.step = slow
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("luthier.training.loop.time.monotonic", lambda: clock[0])
        trainer.fit()
    assert [event["step"] for event in events(trainer)] == [1, 2, 3]
    assert [(event["step"], event["split"]) for event in events(trainer, "evaluation")] == [
        (3, "train"),
        (3, "validation"),
    ]
    assert [event["message"] for event in events(trainer, "warning")] == [
        "training.time_limit (1 min) was reached at step 3 of 9"
    ]
    again = bench.trainer(materials)
    again.resume()
    again.fit()
    assert len(events(again)) == 3, "its time is over when it is resumed, too"
    assert same(weights(trainer), weights(again))


@pytest.mark.parametrize(("best", "expected"), [("accuracy", 2), ("loss", 3)])
def test_the_best_weights_by_the_named_metric_are_put_back(bench, weights, same, best, expected):
    materials = bench.materials(
        training={"max_steps": 5, "checkpoint": {"every": 1, "keep": 1}}, evaluation={**EVERY_STEP, "best": best}
    )
    trainer = bench.trainer(materials)
    scripted(
        trainer,
        [{"accuracy": a, "loss": x} for a, x in [(0.2, 3.0), (0.9, 2.0), (0.5, 1.0), (0.9, 1.0), (0.3, 1.5)]],
    )
    seen = {}
    step = trainer.step

    def watched():
        step()
        seen[trainer.session.progress.step] = weights(trainer)

    trainer.step = watched
    trainer.fit()
    assert same(weights(trainer), seen[expected])
    assert not same(weights(trainer), seen[5])
    assert trainer.checkpoints.best == trainer.checkpoints.path(expected)
    assert [path.name for path in trainer.checkpoints.complete()] == [f"step-{expected:06d}", "step-000005"]


def test_a_crash_before_the_best_is_marked_loses_nothing(bench, weights, same):
    materials = bench.materials(training={"max_steps": 3}, evaluation={**EVERY_STEP, "best": "accuracy"})
    first = bench.trainer(materials)
    scripted(first, [{"accuracy": accuracy} for accuracy in (0.2, 0.9)])
    mark = first.checkpoints.mark_best
    first.checkpoints.mark_best = lambda step: mark(step) if step == 1 else (_ for _ in ()).throw(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    best = weights(first)
    assert first.checkpoints.best == first.checkpoints.path(1), "the mark is behind"
    second = bench.trainer(materials)
    second.resume()
    scripted(second, [{"accuracy": 0.1}])
    second.fit()
    assert second.session.progress.step == 3
    assert same(weights(second), best)


def test_samples_are_shown_before_and_while_it_learns(bench, events):
    trainer = bench.trainer(bench.materials(training={"max_steps": 2}, evaluation={"every": 1}))
    trainer.fit()
    shown = events(trainer, "samples")
    assert [event["step"] for event in shown] == [0, 1, 2]
    assert {row["expected"] for row in shown[0]["rows"]} == {"up", "down", "flat"}
    assert len({tuple(row["prompt"] for row in event["rows"]) for event in shown}) == 1, "the same ones every time"


@pytest.mark.parametrize("metrics", [["loss", "perplexity"], ["accuracy"]])
def test_beside_validation_stands_the_mean_of_what_was_learned_since(bench, events, metrics):
    asked = {"every": 2, "samples": 0, "metrics": metrics}
    materials = bench.materials(training={"max_steps": 5, "batch_size": 7}, evaluation=asked)
    trainer = bench.trainer(materials)
    trainer.fit()
    told = [event for event in events(trainer, "evaluation") if event["split"] == "train"]
    assert [event["step"] for event in told] == [2, 4, 5]
    losses = [event["loss"] for event in events(trainer)]
    counts = [sum(row.supervised_count for row in trainer.rows(step)) for step in range(1, 6)]
    assert len(set(counts)) > 1
    for event, steps in zip(told, (slice(0, 2), slice(2, 4), slice(4, 5)), strict=True):
        mean = sum(loss * count for loss, count in zip(losses[steps], counts[steps], strict=True)) / sum(counts[steps])
        expected = {"loss": mean, "perplexity": math.exp(mean)} if "perplexity" in metrics else {"loss": mean}
        assert event["metrics"] == pytest.approx(expected)
    assert trainer.session.progress.best_step in (2, 4, 5)
    assert (trainer.session.progress.loss, trainer.session.progress.learned) == (0.0, 0)


def test_written_answers_are_scored_at_every_evaluation_and_may_pick_the_best(bench, events):
    pairs_of(bench)
    asked = {"every": 1, "samples": 2, "metrics": ["rouge_1"], "sections": {"it": "^Here"}, "best": "rouge_1"}
    trainer = bench.trainer(bench.materials(data=PAIRS, training={"max_steps": 2}, evaluation=asked))
    trainer.fit()
    written = [event for event in events(trainer, "evaluation") if event["split"] == "samples"]
    assert [event["step"] for event in written] == [0, 1, 2]
    assert set(written[0]["metrics"]) == {"rouge_1", "it/rouge_1"}
    measured = [event for event in events(trainer, "evaluation") if event["split"] == "validation"]
    assert set(measured[0]["metrics"]) == {"loss", "perplexity"}
    assert trainer.session.progress.best_value == max(event["metrics"]["rouge_1"] for event in written[1:])
