"""Processes that take turns, on workers that write down when they were at work."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from race import processes
from race.contestants import Contestant
from race.processes import Entry, together
from race.workloads import Prepared

WORKER = """
import json, os, sys, time
job = json.load(open(sys.argv[1]))
name, log = job["settings"]["name"], open(job["log"], "a", buffering=1)
go, ready = job["turns"]

def turn(what):
    os.write(ready, b".")
    assert os.read(go, 1)
    log.write(f"{name} {what}\\n")

log.write(f"{name} loads\\n")
for step in range(job["steps"]):
    turn(step)
    if step == job["settings"].get("fails_at"):
        raise MemoryError("too little")
    time.sleep(job["settings"].get("sleeps", 0))
turn("saves")
json.dump({"seconds": [1.0] * job["steps"]}, open(os.path.join(os.path.dirname(sys.argv[1]), "result.json"), "w"))
"""


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    (tmp_path / "worker.py").write_text(WORKER)
    monkeypatch.setattr(processes, "WORKERS", tmp_path)
    monkeypatch.setattr(processes, "CACHE", tmp_path / "bench")
    monkeypatch.setattr(processes, "python", lambda _: sys.executable)
    return Prepared("T", tmp_path, {"log": str(tmp_path / "log")})


def entry(name: str, **settings: Any) -> Entry:
    return Entry(Contestant(name, name, "worker.py", None), {"name": name, **settings})


def log(prepared: Prepared) -> list[str]:
    return (prepared.folder / "log").read_text().splitlines()


def test_one_computes_while_the_other_waits(prepared: Prepared) -> None:
    found = together([entry("a"), entry("b")], prepared, 2)
    assert found == [{"seconds": [1.0, 1.0]}] * 2
    assert log(prepared) == ["a loads", "b loads", "a 0", "b 0", "a 1", "b 1", "a saves", "b saves"]


def test_the_other_goes_on_when_one_fails(prepared: Prepared) -> None:
    failed, found = together([entry("a", fails_at=0), entry("b")], prepared, 2)
    assert failed["failed"].endswith("MemoryError: too little")
    assert found == {"seconds": [1.0, 1.0]}


def test_who_takes_too_long_is_given_up(prepared: Prepared) -> None:
    (failed,) = together([entry("a", sleeps=60)], prepared, 2, longest=1.0)
    assert failed == {"failed": "given up after 1 s"}
    assert not list((prepared.folder / "bench" / "jobs").iterdir())


def test_a_worker_is_told_its_job(prepared: Prepared) -> None:
    told = processes.job(prepared, {"micro_batch": 4}, 3, ask={"every": 8})
    assert (told["steps"], told["settings"], told["prepare"]) == (3, {"micro_batch": 4}, False)
    assert json.loads(json.dumps(told))["ask"] == {"every": 8}
