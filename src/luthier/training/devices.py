"""Published facts of devices that a run may be planned for: `luthier plan run.yaml --on rtx4090`.

All of them are estimates of what a run will find: memory and rates as their makers publish them, none measured here.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from luthier.errors import ConfigError
from luthier.registry import suggest


@dataclass(frozen=True)
class Device:
    """One device.

    Attributes:
        name: as `--on` takes it.
        title: as its maker calls it.
        kind: what torch calls such a device.
        memory_gb: memory, in GB (1e9 bytes).
        bandwidth_gb_s: memory bandwidth, in GB/s.
        tflops: dense matrix products with sums in float32, in TFLOP/s, by number type; a type that is missing is not
            computed by the hardware.
        source: where these figures stand.
    """

    name: str
    title: str
    kind: Literal["cuda", "mps", "cpu"]
    memory_gb: float
    bandwidth_gb_s: float
    tflops: dict[str, float]
    source: str

    @property
    def dtype(self) -> tuple[str, str]:
        """The number type that `model.dtype: auto` takes there, and why."""
        if self.kind == "mps":
            return "float32", "the safe choice on mps"
        if "bfloat16" in self.tflops:
            return "bfloat16", "this device computes in bfloat16"
        if "float16" in self.tflops:
            return "float16", "this device has no bfloat16; float16 with a scaled loss is its fast type"
        return "float32", "this device has no bfloat16"

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain values."""
        return asdict(self)


def _cuda(name: str, title: str, memory: float, bandwidth: float, single: float, half: float, source: str) -> Device:
    rates = {"float32": single, "bfloat16": half, "float16": half}
    return Device(name, title, "cuda", memory, bandwidth, rates, source)


def _apple(name: str, title: str, memory: float, bandwidth: float, rate: float, cores: int, clock: float) -> Device:
    source = f"Apple's specifications; the rate is {cores} GPU cores x 128 units x 2 operations x {clock} GHz"
    return Device(
        name, title, "mps", memory, bandwidth, dict.fromkeys(("float32", "bfloat16", "float16"), rate), source
    )


_ADA = "NVIDIA's product page; tensor rate = its sparse FP8 figure / 8"
_SPARSE = "NVIDIA's data sheet, half of the rate it gives with sparsity"

DEVICES = {
    device.name: device
    for device in (
        _cuda("rtx3090", "GeForce RTX 3090", 24, 936, 35.6, 71, "NVIDIA's GA102 white paper"),
        _cuda("rtx4060-8", "GeForce RTX 4060", 8, 272, 15.1, 30.2, _ADA),
        _cuda("rtx4060ti-16", "GeForce RTX 4060 Ti 16 GB", 16, 288, 22.1, 44.1, _ADA),
        _cuda("rtx4090", "GeForce RTX 4090", 24, 1008, 82.6, 165.2, "NVIDIA's Ada architecture white paper"),
        _cuda("rtx5090", "GeForce RTX 5090", 32, 1792, 104.8, 209.5, "NVIDIA's RTX Blackwell white paper"),
        _cuda("a10", "A10", 24, 600, 31.2, 125, _SPARSE),
        _cuda("a100-40", "A100 SXM 40 GB", 40, 1555, 19.5, 312, "NVIDIA's A100 data sheet"),
        _cuda("a100-80", "A100 SXM 80 GB", 80, 2039, 19.5, 312, "NVIDIA's A100 data sheet"),
        _cuda("h100", "H100 SXM", 80, 3350, 67, 989, _SPARSE),
        _cuda("h200", "H200 SXM", 141, 4800, 67, 989, _SPARSE),
        _cuda("l4", "L4", 24, 300, 30.3, 121, _SPARSE),
        _cuda("l40s", "L40S", 48, 864, 91.6, 362, "NVIDIA's L40S data sheet"),
        Device("t4", "T4", "cuda", 16, 320, {"float32": 8.1, "float16": 65}, "NVIDIA's T4 data sheet"),
        _apple("m2", "Apple M2, 10-core GPU, 16 GB", 16, 100, 3.6, 10, 1.4),
        _apple("m3-max", "Apple M3 Max, 40-core GPU, 64 GB", 64, 400, 14.1, 40, 1.38),
    )
}
"""Devices by name. Apple's share their memory with the system."""

GB_PER_CORE = 4
"""Memory that a processor is taken to have: what general-purpose cloud machines come with."""

_CPU = re.compile(r"cpu-(\d{1,3})(-bf16)?")
_CPU_SOURCE = (
    "arithmetic, no data sheet: cores x 3 GHz x 32 operations a cycle in float32 (two 256-bit units that multiply and "
    "add), 64 in bfloat16 where the processor has AVX512-BF16; 4 GB a core; two channels of DDR5-4800"
)


def device_names() -> list[str]:
    """What `--on` takes; N is any number of cores."""
    return [*DEVICES, "cpu-N", "cpu-N-bf16"]


def find_device(name: str) -> Device:
    """The device of that name.

    Raises:
        ConfigError: it is not in the table; the nearest name is suggested.
    """
    if name in DEVICES:
        return DEVICES[name]
    match = _CPU.fullmatch(name)
    if match and int(match[1]):
        return _processor(int(match[1]), bool(match[2]))
    near = suggest(name, [*DEVICES, "cpu-8", "cpu-16", "cpu-8-bf16"])
    raise ConfigError(
        f"nothing is known of a device '{name}'" + (f"; did you mean '{near}'?" if near else ""),
        where="--on",
        expected=f"one of {', '.join(device_names())}",
        hint="cpu-16 is any processor with 16 cores, cpu-16-bf16 one that multiplies in bfloat16",
    )


def _processor(cores: int, bfloat16: bool) -> Device:
    rates = {"float32": 0.096 * cores} | ({"bfloat16": 0.192 * cores} if bfloat16 else {})
    name = f"cpu-{cores}" + ("-bf16" if bfloat16 else "")
    title = f"processor with {cores} cores" + (" and AVX512-BF16" if bfloat16 else "")
    return Device(name, title, "cpu", GB_PER_CORE * cores, 76.8, rates, _CPU_SOURCE)
