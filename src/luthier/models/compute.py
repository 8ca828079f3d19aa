"""The kinds of devices a run can compute on, in one table: which number type they like, their memory, their chance."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from luthier.errors import ConfigError
from luthier.models import hardware
from luthier.runs.files import cache_folder, read_json, write_json

if TYPE_CHECKING:
    import torch

CLEARLY_FASTER = 1.3
"""bfloat16 rounds more coarsely than float32, so it has to win by this much."""

TENSOR_CORES = (7, 0)
"""Compute capability from which NVIDIA's GPUs multiply float16 several times as fast as float32."""


class Kind(ABC):
    """What differs from one kind of device to another."""

    @abstractmethod
    def available(self) -> bool:
        """Whether this machine has one."""

    @abstractmethod
    def dtype(self) -> tuple[torch.dtype, str]:
        """The type that `model.dtype: auto` means, and why."""

    @abstractmethod
    def free_memory(self, device: torch.device) -> int:
        """Bytes that are free."""

    @abstractmethod
    def peak_memory_mb(self, device: torch.device) -> float:
        """The most memory that was held at once, in MB."""

    @abstractmethod
    def random_states(self) -> list[torch.Tensor]:
        """State of every random generator."""

    @abstractmethod
    def restore_random_states(self, states: list[torch.Tensor]) -> None:
        """Puts them back."""


class Cuda(Kind):
    """GPUs of NVIDIA, or of AMD through ROCm."""

    def available(self) -> bool:
        """Whether torch sees one."""
        import torch

        return torch.cuda.is_available()

    def dtype(self) -> tuple[torch.dtype, str]:
        """bfloat16 where it is no emulation; else float16, its loss scaled, where there are tensor cores."""
        import torch

        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16, "this GPU computes in bfloat16"
        if torch.cuda.get_device_capability() >= TENSOR_CORES:
            return torch.float16, "this GPU has no bfloat16; float16 with a scaled loss is its fast type"
        return torch.float32, "this GPU has neither bfloat16 nor fast float16"

    def free_memory(self, device: torch.device) -> int:
        """As the driver sees it."""
        import torch

        return torch.cuda.mem_get_info(device)[0]

    def peak_memory_mb(self, device: torch.device) -> float:
        """Of torch's own tensors."""
        import torch

        return torch.cuda.max_memory_allocated(device) / 1e6

    def random_states(self) -> list[torch.Tensor]:
        """One for each GPU."""
        import torch

        return list(torch.cuda.get_rng_state_all())

    def restore_random_states(self, states: list[torch.Tensor]) -> None:
        """Those of the GPUs that are still there."""
        import torch

        for number, state in enumerate(states[: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(state, number)


class Mps(Kind):
    """The GPU of Apple's processors."""

    def available(self) -> bool:
        """Whether torch sees it."""
        import torch

        return torch.backends.mps.is_available()

    def dtype(self) -> tuple[torch.dtype, str]:
        """float32: not every generation computes bfloat16."""
        import torch

        return torch.float32, "the safe choice on mps"

    def free_memory(self, device: torch.device) -> int:
        """What Metal recommends to use at most, less what torch holds."""
        import torch

        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()

    def peak_memory_mb(self, device: torch.device) -> float:
        """Of the whole process: it shares the system's memory."""
        return hardware.peak_memory_mb()

    def random_states(self) -> list[torch.Tensor]:
        """Its one generator's."""
        import torch

        return [torch.mps.get_rng_state()]

    def restore_random_states(self, states: list[torch.Tensor]) -> None:
        """Puts it back."""
        import torch

        for state in states:
            torch.mps.set_rng_state(state)


class Cpu(Kind):
    """The processor, which is always there."""

    def available(self) -> bool:
        """Always."""
        return True

    def dtype(self) -> tuple[torch.dtype, str]:
        """bfloat16 where it is clearly faster: measured once (under a second) and remembered."""
        import torch

        single, half = _remembered_speeds()
        dtype = torch.bfloat16 if half >= CLEARLY_FASTER * single else torch.float32
        return dtype, f"matrix products: float32 {single:.0f} GFLOP/s, bfloat16 {half:.0f} GFLOP/s on this processor"

    def free_memory(self, device: torch.device) -> int:
        """What the system can give without swapping."""
        import psutil

        return int(psutil.virtual_memory().available)

    def peak_memory_mb(self, device: torch.device) -> float:
        """Of the whole process."""
        return hardware.peak_memory_mb()

    def random_states(self) -> list[torch.Tensor]:
        """Its one generator's."""
        import torch

        return [torch.get_rng_state()]

    def restore_random_states(self, states: list[torch.Tensor]) -> None:
        """Puts it back."""
        import torch

        for state in states:
            torch.set_rng_state(state)


KINDS: dict[str, Kind] = {"cuda": Cuda(), "mps": Mps(), "cpu": Cpu()}
"""By torch's name, the one that `auto` prefers first."""


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is a GPU where there is one.

    Raises:
        ConfigError: this machine does not have it.
    """
    import torch

    there = [kind for kind, device in KINDS.items() if device.available()]
    if name == "auto":
        return torch.device(there[0])
    if name not in there:
        raise ConfigError(f"model.device: '{name}' is not available here", expected=f"auto or {' or '.join(there)}")
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> tuple[torch.dtype, str]:
    """The type of frozen weights and computation, and why.

    Args:
        name: auto, float32, bfloat16 or float16.
        device: where to compute.
    """
    import torch

    return KINDS[device.type].dtype() if name == "auto" else (getattr(torch, name), "as configured")


def free_memory(device: torch.device) -> int:
    """Bytes that are free where a device computes."""
    return KINDS[device.type].free_memory(device)


def _remembered_speeds() -> tuple[float, float]:
    import torch

    key = f"{hardware.processor_name()} | torch {torch.__version__} | {torch.get_num_threads()} threads"
    memory = cache_folder() / "processors.json"
    try:
        known: dict[str, list[float]] = read_json(memory)
    except (FileNotFoundError, json.JSONDecodeError):
        known = {}
    if key not in known:
        known[key] = [round(speed, 1) for speed in hardware.measure_speeds()]
        write_json(memory, known)
    single, half = known[key]
    return single, half
