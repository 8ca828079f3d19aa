"""Each symptom in a made-up run, found by what it is about and by nothing else."""

import json

import pytest

from luthier import registry
from luthier.config import load_config
from luthier.diagnosis import diagnose, write_diagnosis
from luthier.runs import Run
from luthier.runs.files import write_json

STEPS = 60
FALLING = [2.0 * 0.93**step + 0.1 for step in range(STEPS)]


def accepted(sickroom, finding):
    """The configuration takes every key and value that a finding says to change."""
    overrides = [f"{key}={json.dumps(value)}" for key, value in finding.change.items()]
    return load_config(sickroom.run.config_file, overrides)


def test_a_healthy_run_has_no_findings(sickroom):
    sickroom.rows(lambda row: False)
    found = diagnose(sickroom.run)
    assert found.findings == []
    assert set(found.examined) == set(registry.names("symptom")), found.unexamined


def test_a_run_that_was_only_created_is_examined_for_nothing_it_lacks(tmp_path):
    (tmp_path / "config.yaml").write_text("model: {base: some/base}\ndata: {train: rows.jsonl}\n")
    write_json(tmp_path / "run.json", {"state": "planned"})
    found = diagnose(Run(tmp_path))
    assert found.findings == []
    assert set(found.unexamined) == set(registry.names("symptom"))
    assert all(found.unexamined.values()), "each with the reason"


def test_spikes(sickroom):
    sickroom.curve([*FALLING[:30], 9.0, *FALLING[31:]])
    finding = sickroom.only("unstable_loss")
    assert finding.severity == "warning"
    assert "the worst is 9 at step 31" in finding.seen
    assert accepted(sickroom, finding).training.learning_rate == 2e-4


def test_one_hard_batch_is_no_spike(sickroom):
    sickroom.curve([*FALLING[:50], 3.0, *FALLING[51:]])
    assert sickroom.findings() == []


def test_what_was_learned_is_lost_again(sickroom):
    sickroom.curve([*FALLING[:35], *[1.9] * 25])
    [finding] = [found for found in sickroom.findings() if found.symptom == "unstable_loss"]
    assert "and 1.9 at step" in finding.seen


def test_exploding_gradients(sickroom):
    sickroom.curve(FALLING, [1.0] * 40 + [200.0] * 3 + [1.0] * 17)
    finding = sickroom.only("unstable_loss")
    assert "at 3 of 60 steps (200 at step 41)" in finding.seen


def test_a_loss_that_is_no_number(sickroom):
    sickroom.run.events.write("state", 61, state="failed", message="the loss of step 61 is nan; the weights were not")
    finding = sickroom.only("unstable_loss")
    assert (finding.title, finding.severity) == ("The loss is no number", "problem")
    assert accepted(sickroom, finding).model.dtype == "float32"


@pytest.mark.parametrize(("rate", "better"), [(2e-4, 6e-4), (8e-4, 1e-3)])
def test_a_loss_that_does_not_fall(sickroom, rate, better):
    sickroom.configure(training={"learning_rate": rate})
    sickroom.curve([2.0 + 0.01 * (step % 3) for step in range(STEPS)])
    finding = sickroom.only("loss_not_falling")
    assert "mean loss 2.01 over the first 6 steps" in finding.seen
    assert accepted(sickroom, finding).training.learning_rate == better


def test_a_loss_that_has_nothing_left_to_fall(sickroom):
    sickroom.curve([0.01] * STEPS)
    assert sickroom.findings() == []


def test_overfitting(sickroom):
    sickroom.curve(FALLING)
    sickroom.validate([0.6, 0.4, 0.5, 0.8])
    finding = sickroom.only("overfitting")
    assert "validation loss 0.4 at step 30, 0.8 at step 60" in finding.seen
    changed = accepted(sickroom, finding)
    assert (changed.training.epochs, changed.method.dropout) == (2.0, 0.1)


def test_the_mean_training_loss_is_no_validation(sickroom):
    sickroom.curve(FALLING)
    sickroom.validate([1.5, 1.0, 0.8])
    for step in (STEPS // 2, STEPS):
        sickroom.run.events.write("evaluation", step, split="train", metrics={"loss": 0.01 * step})
    assert "overfitting" not in [finding.symptom for finding in sickroom.findings()]


def test_a_rise_that_training_shares_is_no_overfitting(sickroom):
    sickroom.curve([*FALLING[:30], *[0.6] * 30])
    sickroom.validate([0.6, 0.4, 0.5, 0.8])
    assert "overfitting" not in [finding.symptom for finding in sickroom.findings()]


def test_a_class_that_is_never_predicted(sickroom):
    sickroom.answer(lambda number, label: "flat" if label == "up" else label)
    finding = sickroom.only("missed_class")
    assert "'up' (30 rows)" in finding.seen
    assert accepted(sickroom, finding).data.balance.how == "oversample"


def test_answers_that_never_stop(sickroom):
    sickroom.answer(lambda number, label: label, cut=lambda number: number % 2 == 0, raw="up up up up up up")
    finding = sickroom.only("endless_answers")
    assert finding.title == "Answers do not stop"
    assert "45 of 90 answers were cut off at 4 tokens" in finding.seen
    assert accepted(sickroom, finding).training.epochs == 8


def test_answers_without_room(sickroom):
    sickroom.answer(lambda number, label: label, cut=lambda number: True)
    finding = sickroom.only("endless_answers")
    assert finding.title == "Answers are cut short"
    assert accepted(sickroom, finding).evaluation.generate.max_new_tokens == 8


def test_a_few_cut_answers_are_no_finding(sickroom):
    sickroom.answer(lambda number, label: label, cut=lambda number: number < 9)
    assert sickroom.findings() == []


@pytest.mark.parametrize(("rate", "cause"), [(0.01, "too far"), (1e-6, "little is learned")])
def test_an_unusual_learning_rate(sickroom, rate, cause):
    sickroom.configure(training={"learning_rate": rate})
    finding = sickroom.only("learning_rate")
    assert cause in finding.cause
    assert accepted(sickroom, finding).training.learning_rate == 3e-4


def test_invalid_answers(sickroom):
    sickroom.configure(data={"instruction": None})
    sickroom.answer(lambda number, label: None if number % 9 == 0 else label)
    both = sickroom.findings()
    assert [finding.symptom for finding in both] == ["invalid_answers", "invalid_answers"], "in both ways of asking"
    assert "11.1% of 90 answers" in both[0].seen
    assert "'I think that' (10)" in both[0].seen
    assert accepted(sickroom, both[0]).data.instruction == "Choose from {labels}."


def test_few_rows(sickroom):
    sickroom.configure(training={"epochs": 2, "early_stopping": None}, method={"rank": 32})
    sickroom.record(rows={"train": 60}, label_rows={"down": 20, "flat": 24, "up": 16})
    finding = sickroom.only("few_rows")
    assert finding.seen == "60 training rows"
    changed = accepted(sickroom, finding)
    assert (changed.training.epochs, changed.method.rank) == (5, 8)


def test_rare_labels(sickroom):
    sickroom.configure(data={"balance": "oversample"})
    sickroom.record(rows={"train": 100_000}, label_rows={"down": 49_988, "flat": 50_000, "up": 9, "odd": 3})
    finding = sickroom.only("rare_labels")
    assert finding.seen == "fewer than 10 training rows have 'odd' (3), 'up' (9)"
    assert finding.change == {}, "nothing that concerns all other rows"
    sickroom.record(label_rows={f"label {number}": 1 for number in range(12)})
    assert sickroom.only("rare_labels").seen.endswith("'label 9' (1), ...")


def test_tags_are_not_balanced(sickroom):
    sickroom.configure(task={"name": "token_classification"})
    sickroom.record(label_rows={"O": 9000, "B-ORG": 40, "B-LAW": 5})
    finding = sickroom.only("rare_labels")
    assert finding.seen == "fewer than 10 training words have 'B-LAW' (5)"
    assert "a row's one label" in diagnose(sickroom.run).unexamined["imbalance"]


def test_only_a_metric_that_is_measured_picks_the_checkpoint(sickroom):
    sickroom.record(label_rows={"down": 40, "flat": 240, "up": 60})
    assert sickroom.only("imbalance").change == {"data.balance": "oversample", "evaluation.best": "f1_macro"}
    sickroom.configure(evaluation={"metrics": ["accuracy"]})
    assert sickroom.only("imbalance").change == {"data.balance": "oversample"}


def test_uneven_labels(sickroom):
    sickroom.record(label_rows={"down": 40, "flat": 240, "up": 60})
    finding = sickroom.only("imbalance")
    assert finding.severity == "note", "its recall is fine"
    assert "'flat' has 240 training rows, 'down' only 40; recall of 'down' is 1.00" in finding.seen
    accepted(sickroom, finding)
    sickroom.answer(lambda number, label: "flat" if label == "down" and number % 5 else label)
    assert sickroom.only("imbalance").severity == "warning"
    sickroom.configure(data={"balance": "oversample"})
    assert sickroom.findings() == [], "something is done about it"


@pytest.mark.parametrize(("dropped", "fate"), [(False, "30 were cut"), (True, "30 were left out")])
def test_rows_over_the_length(sickroom, dropped, fate):
    sickroom.ledger(30, dropped=dropped)
    finding = sickroom.only("truncation")
    assert fate in finding.seen
    assert "the longest has 129 tokens" in finding.seen
    assert accepted(sickroom, finding).data.max_length == 128, "29 of 30 have at most 128"


def test_a_few_long_rows_are_no_finding(sickroom):
    sickroom.ledger(15)
    assert sickroom.findings() == []


def test_noisy_labels_are_named_with_their_place(sickroom):
    sickroom.rows(lambda row: row % 10 == 0)
    finding = sickroom.only("noisy_labels")
    assert finding.severity == "warning"
    named = {row.row_id for row in finding.rows}
    assert len(named & set(range(0, 300, 10))) >= 24, "of thirty"
    assert len(named - set(range(0, 300, 10))) <= 3
    first = finding.rows[0]
    assert first.where == f"rows.jsonl:{first.row_id + 1}"
    assert first.label != first.suggested


def test_without_the_prepared_rows_labels_are_not_examined(sickroom):
    found = diagnose(sickroom.run)
    assert "luthier plan" in found.unexamined["noisy_labels"]


def test_the_quick_look_repeats_what_was_computed(sickroom, monkeypatch):
    sickroom.rows(lambda row: row % 10 == 0)
    assert "luthier diagnose" in diagnose(sickroom.run, quick=True).unexamined["noisy_labels"]
    whole = diagnose(sickroom.run)
    write_diagnosis(sickroom.run, whole)
    monkeypatch.setattr("luthier.diagnosis.noisy_labels.NoisyLabels.find", lambda *_: pytest.fail("computed again"))
    assert diagnose(sickroom.run, quick=True) == whole


def test_the_gravest_comes_first(sickroom):
    sickroom.record(label_rows={"down": 40, "flat": 240, "up": 60})
    sickroom.answer(lambda number, label: "flat" if label == "up" else label)
    assert [finding.severity for finding in sickroom.findings()] == ["problem", "note"]
