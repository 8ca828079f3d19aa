"""W&B's offline files, read back as W&B writes them: a log of records in blocks."""

import json
import os
import struct
import subprocess
import sys
import time
from collections import defaultdict

import pytest

from luthier.runs import read_events
from luthier.tracking.replaying import replay
from luthier.tracking.trackers.wandb import Wandb, WandbOptions

wandb = pytest.importorskip("wandb", reason="an extra: pip install 'luthier[wandb]'")

BLOCK, FILE_HEADER, PIECE_HEADER = 32768, 7, 7


def records(file):
    """Records of a .wandb file: LevelDB's log format behind a header of its own."""
    from wandb.proto.wandb_internal_pb2 import Record

    content = file.read_bytes()
    assert content[:4] == b":W&B"
    position, parts = FILE_HEADER, b""
    while position + PIECE_HEADER <= len(content):
        left = BLOCK - position % BLOCK
        if left < PIECE_HEADER:
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", content[position : position + PIECE_HEADER])
        position += PIECE_HEADER
        parts += content[position : position + length]
        position += length
        if position > len(content):
            return
        if kind in (1, 4):  # whole, or the last piece
            yield Record.FromString(parts)
            parts = b""


def whole(folder):
    """Records of the one offline run below a folder. Its last ones are written by another process."""
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    for _ in range(300):
        found = list(records(file))
        if found and found[-1].HasField("exit"):
            return found
        time.sleep(0.1)
    raise AssertionError(f"{file} has no end")


def read(folder):
    """({name: {step: value}}, settings, summary) of the one offline run below a folder."""
    history, settings, summary = defaultdict(dict), {}, {}
    for record in whole(folder):
        if record.HasField("history"):
            values = {
                "/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item
            }
            for name, value in values.items():
                history[name][values.get("_step", record.history.step.num)] = value
        for update in (*record.config.update, *record.run.config.update):
            settings[update.key or "/".join(update.nested_key)] = json.loads(update.value_json)
        for update in record.summary.update:
            summary[update.key or "/".join(update.nested_key)] = json.loads(update.value_json)
    return history, settings, summary


@pytest.fixture
def offline():
    return Wandb(WandbOptions(project="headlines", mode="offline"))


def test_curves_samples_settings_and_scores(run, offline, scores, hostile, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    where = replay(offline, run)
    assert where == str(run.path / "wandb")
    history, settings, summary = read(run.path)
    steps = list(read_events(run.events.path, "step"))
    for name in ("loss", "learning_rate", "grad_norm", "tokens_per_second"):
        assert history[f"train/{name}"] == {event["step"]: event[name] for event in steps}
    assert history["validation/accuracy"] == {step: step / 100 for step in (10, 20, 30, 40)}
    assert {name: summary[name] for name in scores} == scores
    assert settings["training.learning_rate"] == 5e-4
    assert settings["method.name"] == "lora"

    assert list(history["samples/path"]) == [0, 10, 20, 30, 40]
    (files,) = run.path.glob("wandb/offline-run-*/files")
    table = json.loads((files / history["samples/path"][40]).read_text())
    assert table["columns"] == ["prompt", "expected", "answer", "valid"]
    assert table["data"] == [[hostile, "positive", "answer 40", True], ["short", None, "answer 40", False]]
    (confusion,) = history["test/labels/confusion/path"].values()
    assert json.loads((files / confusion).read_text())["data"][0] == ["negative", 3, 1, 0]


def test_no_key_is_written_anywhere(run, offline, monkeypatch):
    key = "0123456789abcdef" * 2 + "01234567"
    monkeypatch.setenv("WANDB_API_KEY", key)
    replay(offline, run)
    whole(run.path)
    files = [path for path in run.path.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if key.encode() in path.read_bytes()] == []


def test_online_without_a_key_says_so_and_does_not_ask(run, tmp_path):
    """In a process of its own, since W&B remembers keys that it has seen."""
    code = (
        "import sys; from luthier.runs import Run; from luthier.tracking.replaying import replay; "
        "from luthier.tracking.trackers.wandb import Wandb, WandbOptions; "
        "replay(Wandb(WandbOptions()), Run.open(sys.argv[1]))"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    clean |= {"HOME": str(tmp_path), "NETRC": str(tmp_path / "none"), "WANDB_CONFIG_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(run.path)], capture_output=True, text=True, env=clean, timeout=60
    )
    assert "ConfigError: W&B knows no key" in done.stderr
