"""TensorBoard's files, read back by TensorBoard."""

import html

import pytest

from luthier.runs import read_events
from luthier.tracking.replaying import replay
from luthier.tracking.telling import Teller
from luthier.tracking.trackers.tensorboard import Tensorboard, TensorboardOptions

pytest.importorskip("tensorboard", reason="an extra: pip install 'luthier[tensorboard]'")


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    return found


def texts(found, tag):
    return {event.step: event.tensor_proto.string_val[0].decode() for event in found.Tensors(f"{tag}/text_summary")}


@pytest.fixture
def tracker():
    return Tensorboard(TensorboardOptions())


def test_curves_samples_settings_and_scores(run, tracker, scores, hostile):
    folder = replay(tracker, run)
    found = read(folder)
    steps = list(read_events(run.events.path, "step"))
    for name in ("loss", "learning_rate", "grad_norm", "tokens_per_second"):
        points = [(point.step, point.value, point.wall_time) for point in found.Scalars(f"train/{name}")]
        assert points == [(event["step"], pytest.approx(event[name]), event["time"]) for event in steps]
    assert [point.step for point in found.Scalars("validation/accuracy")] == [10, 20, 30, 40]
    assert {name: found.Scalars(name)[-1].value for name in scores} == pytest.approx(scores)

    samples = texts(found, "samples")
    assert list(samples) == [0, 10, 20, 30, 40]
    head, _, *rows = samples[40].splitlines()
    assert head == "| prompt | expected | answer | valid |"
    assert rows[1] == "| short | None | answer 40 | False |"
    shown = rows[0].split(" | ")[0].removeprefix("| ").replace("<br>", "\n").replace("&#124;", "|")
    assert html.unescape(shown).split() == hostile.split()
    assert "| negative | 3 | 1 | 0 |" in texts(found, "test/labels/confusion")[40]
    assert "base: some/base" in texts(found, "configuration")[0]


def test_the_page_that_compares_runs_has_the_settings(run, tracker):
    from tensorboard.plugins.hparams import plugin_data_pb2

    found = read(replay(tracker, run))
    content = found.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    settings = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["training.learning_rate"].number_value == 5e-4
    assert settings["method.name"].string_value == "lora"


def test_what_is_told_again_replaces_what_was_told(run):
    """A run that was killed at step 30 and goes on from its checkpoint at step 20, and a whole replay after it."""
    events = [event for event in read_events(run.events.path) if event["kind"] != "state"]
    for after, last, shift in ((0, 30, 1.0), (20, 40, 0.0)):
        teller = Teller(Tensorboard(TensorboardOptions()), run)
        teller.begin(after)
        for event in events:
            if after < event["step"] <= last or event["step"] == after == 0:
                wrong = {"loss": event["loss"] + shift} if event["kind"] == "step" and event["step"] > 20 else {}
                teller.tell(event | wrong)
        teller._tracker.close("interrupted")
    expected = [(event["step"], pytest.approx(event["loss"])) for event in events if event["kind"] == "step"]
    again = [(point.step, point.value) for point in read(run.path / "tensorboard").Scalars("train/loss")]
    assert again == expected
    replay(Tensorboard(TensorboardOptions()), run)
    assert [(point.step, point.value) for point in read(run.path / "tensorboard").Scalars("train/loss")] == expected
