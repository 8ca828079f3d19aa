"""Runs one contestant on one workload, in a process of its own."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from race.contestants import Contestant, Settings
from race.environments import make, python
from race.workloads import CACHE, HERE, Prepared

WORKERS = HERE / "workers"
LAST_LINES = 12
LONGEST = 3600
"""Seconds after which a process is given up, unless it is told otherwise."""

MEMORY_SHARE = 0.9
"""Share of the machine's memory that a process may ask for."""

Result = dict[str, Any]


def environment(ablate: str | None = None) -> dict[str, str]:
    """The variables of a contestant's process, the same for everybody: as a user has them, and nothing downloaded."""
    tuned = ("OMP_", "KMP_", "MKL_", "GOMP_", "LD_PRELOAD", "LUTHIER_FAST_WITHOUT", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(tuned)}
    switched_off = {"LUTHIER_FAST_WITHOUT": ablate} if ablate else {}
    return kept | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"} | switched_off


def job(
    prepared: Prepared, settings: Settings, steps: int, *, only_prepare: bool, ask: dict[str, Any] | None
) -> dict[str, Any]:
    """What a worker is told."""
    return {
        **prepared.about,
        "rows": str(prepared.folder / "rows.jsonl"),
        "head": str(prepared.folder / "head.safetensors"),
        "cache": str(CACHE),
        "steps": steps,
        "settings": settings,
        "prepare": only_prepare,
        "ask": ask,
        "started": time.time(),
    }


def prepare_once(contestant: Contestant, prepared: Prepared) -> None:
    """Makes the environment, and whatever a peer converts once (its own layout of the base), outside the clock."""
    if contestant.environment:
        make(contestant.environment)
    if contestant.converts:
        run(contestant, prepared, contestant.settings, 1, only_prepare=True)


def run(
    contestant: Contestant,
    prepared: Prepared,
    settings: Settings,
    steps: int,
    *,
    ablate: str | None = None,
    only_prepare: bool = False,
    ask: dict[str, Any] | None = None,
    longest: float = LONGEST,
) -> Result:
    """Trains and returns the worker's result, or {"failed": the last lines it said}.

    Args:
        contestant: who trains.
        prepared: on what.
        settings: how.
        steps: optimiser steps.
        ablate: the technique of the fast engine that is switched off.
        only_prepare: converts the base and trains nothing.
        ask: {"every": steps, "target": accuracy, "rows": file}: stops at that accuracy.
        longest: seconds after which the process is given up.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{prepared.name}-{contestant.name}-", dir=_jobs()))
    try:
        file = folder / "job.json"
        command = [str(python(contestant.environment)), str(WORKERS / contestant.worker), str(file)]
        told = job(prepared, settings, steps, only_prepare=only_prepare, ask=ask)
        file.write_text(json.dumps(told), encoding="utf-8")
        done = _call(command, folder, environment(ablate), longest)
        result = folder / "result.json"
        if result.exists():
            found: Result = json.loads(result.read_text(encoding="utf-8"))
            return found
        return {} if only_prepare and done.returncode == 0 else {"failed": _last_lines(done.stdout)}
    except subprocess.TimeoutExpired:
        return {"failed": f"given up after {longest:.0f} s"}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _call(
    command: list[str], folder: Path, variables: dict[str, str], longest: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=longest,
        preexec_fn=_within_memory,
        check=False,
    )


def _within_memory() -> None:
    """Whoever asks for more than there is fails by itself, and does not take the machine along."""
    most = int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _jobs() -> Path:
    folder = CACHE / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _last_lines(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-LAST_LINES:]) or "it said nothing"


def measure_machine() -> dict[str, Any]:
    """The processor and the fastest matrix products it was seen to do, in GFLOP/s, measured in a fresh process."""
    done = subprocess.run(
        [sys.executable, str(WORKERS / "matrix_rate.py")],
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
