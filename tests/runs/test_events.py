"""The log of a run's events, also when a crash has cut it off."""

import pytest

from luthier.runs import EventLog, read_events


@pytest.fixture
def log(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    for step in range(4):
        log.write("step", step, message="\u6b65")
    return log


def steps(log):
    return [event["step"] for event in read_events(log.path)]


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_last_line_cut_off_anywhere_is_left_out(log, cut):
    content = log.path.read_bytes()
    log.path.write_bytes(content[: content.rindex("\u6b65".encode()) + 3 - cut])
    assert steps(log) == [0, 1, 2]
    log.rewind(9)
    log.write("step", 3)
    assert steps(log) == [0, 1, 2, 3]


@pytest.mark.parametrize(("step", "kept"), [(2, [0, 1, 2]), (0, [0]), (-1, [])])
def test_what_happened_after_a_step_is_forgotten(log, step, kept):
    log.rewind(step)
    assert steps(log) == kept
