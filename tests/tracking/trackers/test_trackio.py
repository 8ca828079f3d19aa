"""A run of Trackio, read back by Trackio, in a process of its own: it learns its folder when it is imported."""

import json
import subprocess
import sys

import pytest

from luthier.runs import read_events

pytest.importorskip("trackio", reason="an extra: pip install 'luthier[trackio]'")

SCRIPT = """
import json, sys
from luthier.runs import Run
from luthier.tracking.replaying import replay
from luthier.tracking.trackers.trackio import Trackio, TrackioOptions

replay(Trackio(TrackioOptions(project="headlines")), Run.open(sys.argv[1]))
from trackio.sqlite_storage import SQLiteStorage
print(json.dumps(SQLiteStorage.get_logs("headlines", Run.open(sys.argv[1]).path.name), default=str))
"""


def test_curves_samples_and_scores(run, scores, tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(run.path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    logs = json.loads(done.stdout)  # nothing else was printed
    losses = {log["step"]: log["train/loss"] for log in logs if "train/loss" in log}
    assert losses == {event["step"]: event["loss"] for event in read_events(run.events.path, "step")}
    assert {name: value for log in logs for name, value in log.items() if name in scores} == scores
    assert [log["step"] for log in logs if "samples" in log] == [0, 10, 20, 30, 40]
