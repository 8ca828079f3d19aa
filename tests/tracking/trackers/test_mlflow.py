"""A run of MLflow in a database of its own, read back by its client."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from luthier.runs import read_events
from luthier.tracking.replaying import replay
from luthier.tracking.telling import Teller
from luthier.tracking.trackers.mlflow import TAG, Mlflow, MlflowOptions

REASON = "an extra: pip install 'luthier[mlflow]'"


@pytest.fixture
def uri(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason=REASON)
    pytest.importorskip("sqlalchemy", reason=REASON)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def found(uri):
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("headlines")
    return client, client.search_runs([experiment.experiment_id])


def test_curves_samples_settings_and_scores(run, uri, scores, hostile):
    replay(Mlflow(MlflowOptions(uri=uri)), run)
    client, (kept,) = found(uri)
    assert kept.info.status == "FINISHED"
    assert kept.data.tags[TAG] == run.path.name
    assert {name: kept.data.metrics[name] for name in scores} == scores
    assert kept.data.params["training.learning_rate"] == "0.0005"
    steps = list(read_events(run.events.path, "step"))
    points = sorted(client.get_metric_history(kept.info.run_id, "train/loss"), key=lambda point: point.step)
    assert [(p.step, p.value, p.timestamp) for p in points] == [
        (event["step"], event["loss"], round(event["time"] * 1000)) for event in steps
    ]
    table = json.loads(Path(client.download_artifacts(kept.info.run_id, "samples/step-000040.json")).read_text())
    assert table["data"][0] == [hostile, "positive", "answer 40", True]


def test_a_resumed_run_goes_on_in_the_same_run(run, uri):
    for after in (0, 20):
        tracker = Mlflow(MlflowOptions(uri=uri))
        teller = Teller(tracker, run)
        teller.begin(after)
        tracker.curves({"train/loss": 1.0}, after + 1, 1000.0 + after)
        tracker.close("interrupted" if after == 0 else "finished")
    client, (kept,) = found(uri)
    assert len(client.get_metric_history(kept.info.run_id, "train/loss")) == 2
    assert kept.info.status == "FINISHED"


def test_names_of_parts_are_written_as_mlflow_takes_them(run, uri, monkeypatch):
    config = run.config_file.read_text() + "evaluation: {sections: {'Prediction & Analysis': '^P', '分析//b': '^A'}}\n"
    run.config_file.write_text(config)
    tracker = Mlflow(MlflowOptions(uri=uri))
    Teller(tracker, run).begin(0)
    tracker.curves({"samples/Prediction & Analysis/rouge_1": 0.5, "samples/分析//b/rouge_1": 0.25}, 1, 1000.0)
    _, (kept,) = found(uri)
    assert kept.data.metrics == {"samples/Prediction _ Analysis/rouge_1": 0.5, "samples/分析/b/rouge_1": 0.25}
    assert kept.data.params["evaluation.sections.Prediction _ Analysis"] == "^P"
    assert kept.data.params["evaluation.sections.分析/b"] == "^A"


def test_a_password_has_no_place_in_a_configuration():
    with pytest.raises(ValidationError, match="MLFLOW_TRACKING_PASSWORD"):
        MlflowOptions(uri="https://me:secret@example.org")
    assert MlflowOptions(uri="https://example.org").uri
