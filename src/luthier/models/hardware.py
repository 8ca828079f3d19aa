"""This machine: its processor, how fast it multiplies, and how much memory the process holds."""

from __future__ import annotations

import ctypes
import platform
import re
import resource
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

SHAPES = [(256, 576, 1536), (512, 1024, 1024)]
"""Rows, inner width, columns of the probed products: what small language models multiply."""

GROWN = 1.05
"""Memory is handed back when a process holds so many times what a step needs."""

FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8", "asimd", "sve", "bf16")


def measure_speeds(repeats: int = 5, seconds: float = 0.6) -> tuple[float, float]:
    """Speed of float32 and bfloat16 matrix products at `SHAPES`, in GFLOP/s.

    The fastest of several tries counts, in turns, so that other work on the machine does not decide.

    Args:
        repeats: most tries of each product.
        seconds: no new try begins after this time.
    """
    import torch

    types = (torch.float32, torch.bfloat16)
    pairs = [
        (dtype, torch.ones(rows, inner, dtype=dtype), torch.ones(inner, columns, dtype=dtype))
        for rows, inner, columns in SHAPES
        for dtype in types
    ]
    best = [float("inf")] * len(pairs)
    start = time.perf_counter()
    for attempt in range(repeats + 1):
        for index, (_, left, right) in enumerate(pairs):
            before = time.perf_counter()
            left @ right
            if attempt:  # the first try warms up
                best[index] = min(best[index], time.perf_counter() - before)
        if attempt and time.perf_counter() - start > seconds:
            break
    work = sum(2 * rows * inner * columns for rows, inner, columns in SHAPES) / 1e9
    spent = [sum(time for (dtype, *_), time in zip(pairs, best, strict=True) if dtype is wanted) for wanted in types]
    return work / spent[0], work / spent[1]


def processor_name() -> str:
    """The processor as it calls itself."""
    if match := re.search(r"^model name\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE):
        return match[1].strip()
    return platform.processor() or platform.machine()


def describe_processor() -> dict[str, Any]:
    """Name, cores, threads torch uses, memory in GB, and the instructions that matter for matrix products."""
    import psutil
    import torch

    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    present = set(flags[1].split()) if flags else set()
    return {
        "name": processor_name(),
        "cores": psutil.cpu_count(logical=False) or psutil.cpu_count(),
        "logical_cores": psutil.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "flags": [flag for flag in FLAGS if flag in present],
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _cpuinfo() -> str:
    file = Path("/proc/cpuinfo")
    return file.read_text() if file.exists() else ""


def peak_memory_mb() -> float:
    """The most memory this process has held since it began, in MB (resident; 1 MB = 1e6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def give_back_memory() -> None:
    """Hands freed memory back to the system.

    glibc keeps what it freed in pieces between what is still used; batches of many different lengths then make a
    process grow by half its size over a hundred steps.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


class FreedMemory:
    """Hands freed memory back when steps of different sizes have made the process grow.

    Not after every step: taking the pages back costs a step of the fast engine a tenth of its time.
    """

    def __init__(self) -> None:
        self._usual = 0
        self._fresh = True

    def after_step(self) -> None:
        """Looks at what the process holds; a step that began with nothing to spare shows what steps need."""
        import psutil

        held = psutil.Process().memory_info().rss
        if self._fresh:
            self._usual, self._fresh = max(self._usual, held), False
        elif held > GROWN * self._usual:
            give_back_memory()
            self._fresh = True


class PeakMemory:
    """Measures the most memory this process holds inside a `with` block, by looking every few milliseconds.

    Attributes:
        start_mb: resident memory at the beginning, in MB.
        peak_mb: the most seen until now, in MB.
    """

    def __init__(self, every: float = 0.01) -> None:
        self.every = every
        self.start_mb = 0.0
        self.peak_mb = 0.0
        self._stop = threading.Event()

    def __enter__(self) -> PeakMemory:
        import psutil

        self._process = psutil.Process()
        self.start_mb = self.peak_mb = self._process.memory_info().rss / 1e6
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._stop.wait(self.every):
            self._look()

    def _look(self) -> None:
        self.peak_mb = max(self.peak_mb, self._process.memory_info().rss / 1e6)
