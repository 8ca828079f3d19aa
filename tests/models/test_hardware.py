from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from luthier.models import hardware
from luthier.models.hardware import GROWN, FreedMemory, PeakMemory, describe_processor, measure_speeds


def test_measured_speeds_are_speeds() -> None:
    single, half = measure_speeds(repeats=1)
    assert 0.1 < single < 1e5
    assert 0.1 < half < 1e5


def test_the_processor_is_described() -> None:
    facts = describe_processor()
    assert facts["name"]
    assert 1 <= facts["cores"] <= facts["logical_cores"]
    assert facts["memory_gb"] > 0.5
    assert facts["torch_threads"] == torch.get_num_threads()


def test_peak_memory_sees_what_was_freed_again() -> None:
    with PeakMemory() as memory:
        block = torch.ones(50_000_000)  # 200 MB
        del block
        torch.ones(1)
    assert 150 < memory.peak_mb - memory.start_mb < 400
    assert hardware.peak_memory_mb() >= memory.peak_mb * 0.99


def test_memory_is_handed_back_when_steps_make_the_process_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    held, trims = [0], []
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=held[0]))
    monkeypatch.setattr("psutil.Process", lambda: process)
    monkeypatch.setattr(hardware, "give_back_memory", lambda: trims.append(held[0]))
    freed = FreedMemory()
    grown = int(1000 * GROWN) + 1
    for held[0] in (1000, 1000, grown, 1020, 1020, int(1020 * GROWN), int(1020 * GROWN) + 1):
        freed.after_step()
    assert trims == [grown, int(1020 * GROWN) + 1], "the step after handing back shows what a step needs"
