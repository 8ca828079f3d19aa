"""Trackers beside real trainings of the tiny Llama."""

import json

import pytest

from luthier import pipeline
from luthier.cli import frame
from luthier.errors import ConfigError
from luthier.runs import read_events

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_cache")]

OFFLINE = {"name": "wandb", "mode": "offline"}


@pytest.fixture
def settings(write_config, tmp_path, tiny_llama, labelled_file):
    training = {"max_steps": 6, "checkpoint": {"every": None}}
    evaluation = {"every": 3, "samples": 2, "few_shot": 0, "baselines": False, "modes": ["labels"]}

    def write(**parts):
        parts = {"training": training, "evaluation": evaluation, **parts}
        return write_config(tmp_path / "run.yaml", tiny_llama, labelled_file, **parts)

    return write


def scalars(folder, name):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return [(point.step, pytest.approx(point.value)) for point in found.Scalars(name)]


def test_an_interrupted_training_is_one_curve(settings):
    """Killed between checkpoints and gone on: every step once, as in the run's own events."""
    pytest.importorskip("tensorboard", reason="an extra")
    config = settings(tracking=["tensorboard"])

    def interrupt(event):
        if event["kind"] == "step" and event["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.train(config, listeners=[interrupt])
    (folder,) = (config.parent / "runs" / "tiny").iterdir()
    run = pipeline.train(resume=folder)
    steps = list(read_events(run.events.path, "step"))
    assert [event["step"] for event in steps] == [1, 2, 3, 4, 5, 6]
    assert scalars(run.path / "tensorboard", "train/loss") == [(event["step"], event["loss"]) for event in steps]
    accuracy = json.loads(run.metrics_file.read_text())["results"]["test"]["labels"]["tuned"]["accuracy"]["value"]
    assert scalars(run.path / "tensorboard", "test/labels/tuned/accuracy")[-1][1] == accuracy
    assert not list(read_events(run.events.path, "warning"))


def test_weights_and_biases_beside_a_training(settings):
    pytest.importorskip("wandb", reason="an extra")
    dropout = {"name": "lora", "rank": 4, "dropout": 0.1}
    run = pipeline.train(settings(method=dropout, tracking=[OFFLINE]))
    assert list(run.path.glob("wandb/offline-run-*/*.wandb"))
    assert not list(read_events(run.events.path, "warning"))
    alone = pipeline.train(settings(method=dropout))
    adapters = [each.adapter / "adapter_model.safetensors" for each in (run, alone)]
    assert adapters[0].read_bytes() == adapters[1].read_bytes(), "a tracker draws no chance of the training's"


def test_a_tracker_that_fails_changes_nothing(settings, monkeypatch):
    pytest.importorskip("tensorboard", reason="an extra")
    monkeypatch.setattr("luthier.tracking.trackers.tensorboard.Tensorboard.curves", lambda *_: 1 / 0)
    run = pipeline.train(settings(tracking=["tensorboard"]))
    assert run.record["state"] == "finished"
    (warning,) = read_events(run.events.path, "warning")
    assert "the tracker tensorboard stopped: ZeroDivisionError" in warning["message"]
    assert "ZeroDivisionError" in run.report.read_text()


def test_a_missing_library_is_refused_before_anything_is_done(settings, monkeypatch):
    monkeypatch.setattr("luthier.tracking.find_spec", lambda module: None)
    config = settings(tracking=["mlflow"])
    with pytest.raises(ConfigError, match="the tracker mlflow needs mlflow"):
        pipeline.train(config)
    assert not (config.parent / "runs").exists()


def test_afterwards_by_the_command(trained_llama, tmp_path, capsys):
    pytest.importorskip("tensorboard", reason="an extra")
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(trained_llama.path, copy)
    assert frame.run(["track", str(copy), "--to", "tensorboard", "--json"]) == 0
    where = json.loads(capsys.readouterr().out)["where"]
    assert where == str(copy / "tensorboard")
    steps = list(read_events(trained_llama.events.path, "step"))
    assert scalars(where, "train/loss") == [(event["step"], event["loss"]) for event in steps]
    assert frame.run(["track", str(copy), "--to", "tensorbord"]) == 2
    assert "tensorboard" in capsys.readouterr().err
