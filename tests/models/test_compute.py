"""The table of kinds of devices; what cannot be run here is run with torch's answers put in its mouth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from luthier.errors import ConfigError
from luthier.models import hardware
from luthier.models.compute import KINDS, choose_device, choose_dtype, free_memory

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


@pytest.mark.parametrize(
    ("bfloat16", "capability", "chosen"),
    [(True, (8, 6), torch.bfloat16), (False, (7, 5), torch.float16), (False, (6, 1), torch.float32)],
)
def test_a_gpu_without_bfloat16_takes_float16_where_that_is_fast(
    bfloat16: bool, capability: tuple[int, int], chosen: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert choose_dtype("auto", torch.device("cuda"))[0] is chosen


def test_mps_computes_in_float32() -> None:
    assert choose_dtype("auto", torch.device("mps"))[0] is torch.float32


@pytest.mark.parametrize("name", list(KINDS))
def test_random_states_come_back_and_memory_is_known(name: str) -> None:
    kind = KINDS[name]
    if not kind.available():
        pytest.skip(f"there is no {name} device here")
    device = torch.device(name)
    states = kind.random_states()
    drawn = torch.rand(4, device=device)
    kind.restore_random_states(states)
    assert torch.equal(torch.rand(4, device=device), drawn)
    assert free_memory(device) > 0
    assert kind.peak_memory_mb(device) >= 0
