"""Trackers beside a training: told everything, and never in its way."""

import threading
import time

import pytest

from luthier.runs import Run, read_events
from luthier.tracking import following
from luthier.tracking.following import following as follow


def tell(run, trackers, events, listeners=()):
    """Writes events while the trackers follow, as a training does; returns the slowest write in seconds."""
    slowest = 0.0
    with follow(run, trackers, listeners) as told:
        log = run.events
        log.listeners += told
        for event in events:
            fields = {key: value for key, value in event.items() if key not in ("kind", "step", "time")}
            began = time.perf_counter()
            log.write(event["kind"], event["step"], **fields)
            slowest = max(slowest, time.perf_counter() - began)
    return slowest


@pytest.fixture
def events(run):
    """The events of the run, taken out of its folder."""
    found = list(read_events(run.events.path))
    run.events.path.unlink()
    return found


def warnings(run):
    return list(read_events(run.events.path, "warning"))


def calls(tracker):
    """What was told, without the times."""
    return [call[:-1] if call[0] in ("curves", "table") else call for call in tracker.calls]


def test_the_same_as_afterwards(run, events, notes, tmp_path):
    from luthier.tracking.replaying import replay

    first = [event for event in events if (event["kind"], event.get("state")) != ("state", "interrupted")]
    live, listened = notes(), []
    tell(run, [live], first, [listened.append])
    assert [event["step"] for event in listened] == [event["step"] for event in first]
    later = notes()
    replay(later, run)
    assert calls(live) == calls(later)
    assert warnings(run) == []


def test_a_resumed_run_goes_on_behind_its_checkpoint(run, events, notes):
    tracker = notes()
    tell(run, [tracker], [event for event in events if event["step"] > 20 or event.get("state") == "running"][1:])
    ((_, after),) = tracker.named("open")
    assert after == 20
    assert min(step for _, step, _ in tracker.named("curves")) == 21


@pytest.mark.parametrize("call", ["open", "curves", "table", "results", "close"])
@pytest.mark.parametrize("error", [RuntimeError("no server"), SystemExit("bye")])
def test_one_that_fails_becomes_one_warning(run, events, notes, call, error):
    def fail(*_):
        raise error

    good, bad, listened = notes(), notes(), []
    setattr(bad, call, fail)
    tell(run, [bad, good], events, [listened.append])
    (warning,) = warnings(run)
    assert f"the tracker notes stopped: {type(error).__name__}: {error}" in warning["message"]
    assert f"luthier track {run.path} --to notes" in warning["message"]
    assert [event for event in listened if event["kind"] == "warning"] == [warning]
    assert len(list(read_events(run.events.path))) == len(events) + 1
    assert good.named("close") == [("interrupted",)], "the first end there is"


def test_one_that_hangs_holds_nothing_up(run, events, notes, monkeypatch):
    monkeypatch.setattr(following, "PATIENCE", 0.2)
    waiting = threading.Event()
    tracker = notes()
    tracker.open = lambda *_: waiting.wait()
    began = time.perf_counter()
    slowest = tell(run, [tracker], events)
    assert slowest < 0.2
    assert time.perf_counter() - began < 5
    (warning,) = warnings(run)
    assert "did not take everything within 0.2 seconds" in warning["message"]
    assert warning["step"] == 40
    waiting.set()


def test_a_run_that_never_began_closes_nothing(tmp_path, notes):
    tracker = notes()
    tell(Run(tmp_path), [tracker], [])
    assert tracker.calls == []
