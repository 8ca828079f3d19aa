from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from luthier.errors import ConfigError
from luthier.models import hardware
from luthier.models.hardware import PeakMemory, choose_device, choose_dtype, describe_processor, measure_speeds

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path))


def test_device_by_name() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="'cuda' is not available here"):
        choose_device("cuda")


def test_a_named_type_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "measure_speeds", lambda: pytest.fail("measured for nothing"))
    assert choose_dtype("bfloat16", CPU) == (torch.bfloat16, "as configured")


@pytest.mark.parametrize(
    ("single", "half", "chosen"),
    [(100.0, 300.0, torch.bfloat16), (100.0, 129.0, torch.float32), (100.0, 20.0, torch.float32)],
)
def test_bfloat16_has_to_be_clearly_faster(
    single: float, half: float, chosen: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "measure_speeds", lambda: (single, half))
    dtype, reason = choose_dtype("auto", CPU)
    assert dtype is chosen
    assert f"float32 {single:.0f} GFLOP/s, bfloat16 {half:.0f} GFLOP/s" in reason


def test_speeds_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(hardware, "measure_speeds", lambda: calls.append(1) or (50.0, 100.0))
    assert choose_dtype("auto", CPU) == choose_dtype("auto", CPU)
    assert len(calls) == 1
    (key,) = json.loads((tmp_path / "processors.json").read_text())
    assert hardware.processor_name() in key
    assert torch.__version__ in key


def test_a_damaged_memory_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "processors.json").write_text("{")
    monkeypatch.setattr(hardware, "measure_speeds", lambda: (50.0, 100.0))
    assert choose_dtype("auto", CPU)[0] is torch.bfloat16


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
