"""What a tracker is told of a run."""

import pytest

from luthier.errors import ConfigError, LuthierError
from luthier.runs import read_events
from luthier.tracking import TrackerOptions, make_tracker
from luthier.tracking.replaying import options_for, replay


def test_curves_samples_and_scores(run, notes, scores):
    tracker = notes()
    assert replay(tracker, run) == "notes"
    assert [call[0] for call in tracker.calls][:3] == ["open", "table", "curves"]
    assert [call[0] for call in tracker.calls][-3:] == ["table", "results", "close"]

    events = {event["step"]: event for event in read_events(run.events.path, "step")}
    curves = tracker.named("curves")
    steps = [(values, step, time) for values, step, time in curves if "train/loss" in values]
    assert [step for _, step, _ in steps] == list(range(1, 41))
    for values, step, time in steps:
        event = events[step]
        names = ("loss", "learning_rate", "grad_norm", "tokens_per_second", "tokens")
        assert values == {f"train/{name}": event[name] for name in names}
        assert time == event["time"]
    validation = [(values, step) for values, step, _ in curves if "train/loss" not in values]
    assert validation[0] == ({"validation/accuracy": 0.1, "validation/loss": 0.1}, 10), "without what is no number"
    assert [step for _, step in validation] == [10, 20, 30, 40]

    *samples, confusion = tracker.named("table")
    assert [(name, step) for name, _, step, _ in samples] == [("samples", step) for step in (0, 10, 20, 30, 40)]
    assert samples[1][1][0]["answer"] == "answer 10"
    assert confusion[:3] == (
        "test/labels/confusion",
        [
            {"expected, answered": "negative", "negative": 3, "positive": 1, "invalid": 0},
            {"expected, answered": "positive", "negative": 0, "positive": 3, "invalid": 1},
        ],
        40,
    )
    assert tracker.named("results") == [(scores, 40)]
    assert tracker.named("close") == [("finished",)]


def test_a_mean_of_steps_is_no_step(run, notes):
    run.events.write("evaluation", 40, split="train", metrics={"loss": 0.5, "perplexity": 1.6})
    tracker = notes()
    replay(tracker, run)
    values, step, _ = tracker.named("curves")[-1]
    assert (values, step) == ({"train_mean/loss": 0.5, "train_mean/perplexity": 1.6}, 40)


def test_who_it_is(run, notes):
    tracker = notes()
    replay(tracker, run)
    ((about, after),) = tracker.named("open")
    assert after == 0
    assert (about.name, about.id, about.folder) == ("headlines", "20260202-101500-ab12cd", run.path)
    assert about.yaml == run.config_file.read_text()
    assert about.settings["training.learning_rate"] == 5e-4
    assert about.settings["method.name"] == "lora"
    assert about.settings["training.early_stopping"] == "null"
    assert about.settings["tracking"] == "[]"
    assert all(isinstance(value, str | int | float | bool) for value in about.settings.values())


def test_texts_stay_here_when_they_are_not_wanted(run, notes):
    tracker = notes(TrackerOptions(name="notes", samples=False))
    replay(tracker, run)
    assert [name for name, *_ in tracker.named("table")] == ["test/labels/confusion"]


def test_a_run_without_scores_is_closed_as_what_it_is(run, notes):
    run.metrics_file.unlink()
    run.update_record(state="failed")
    tracker = notes()
    replay(tracker, run)
    assert tracker.named("results") == []
    assert tracker.named("close") == [("failed",)]


def test_an_error_of_its_library_names_the_tracker(run, notes):
    tracker = notes()
    tracker.results = lambda *_: 1 / 0
    with pytest.raises(LuthierError, match="the tracker notes failed: ZeroDivisionError"):
        replay(tracker, run)


def test_the_options_of_the_run_or_others(run):
    configured = run.config_file.read_text() + "tracking: [{name: wandb, project: mine}]\n"
    run.config_file.write_text(configured)
    assert options_for(run.config, "wandb").project == "mine"
    assert options_for(run.config, "{name: wandb, mode: offline}").project == "luthier"
    assert options_for(run.config, "tensorboard").samples is True
    for wrong in ("tensorbord", "{name: wandb, mod: offline}", "", "wandb, tensorboard"):
        with pytest.raises(ConfigError):
            options_for(run.config, wrong)


def test_a_library_that_is_missing_is_named_before_anything_begins(monkeypatch):
    monkeypatch.setattr("luthier.tracking.find_spec", lambda module: None)
    from luthier.config import parse_config

    (options,) = parse_config("model: {base: b}\ndata: {train: a.csv}\ntracking: [trackio]").tracking
    with pytest.raises(ConfigError, match="the tracker trackio needs trackio") as caught:
        make_tracker(options)
    assert "luthier[trackio]" in caught.value.hint
