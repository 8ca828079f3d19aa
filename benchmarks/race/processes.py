"""Runs contestants on a workload, each in a process of its own, a step each in turn.

A shared machine is now fast, now slow, for minutes. Contestants that are to be compared are therefore loaded beside
each other, and one of them computes at a time, a step of this one, a step of that one; others wait at a pipe.
"""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from race.contestants import NOTHING, Contestant, Settings
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


@dataclass(frozen=True)
class Entry:
    """A contestant at the start.

    Attributes:
        settings: how it is run.
        ablate: the technique of the fast engine that is switched off; see `NOTHING`.
    """

    contestant: Contestant
    settings: Settings
    ablate: str | None = None

    @property
    def title(self) -> str:
        return f"{self.contestant.name} without {self.ablate}" if self.ablate else self.contestant.name


def job(
    prepared: Prepared,
    settings: Settings,
    steps: int,
    *,
    only_prepare: bool = False,
    ask: dict[str, Any] | None = None,
    profile: bool = False,
) -> dict[str, Any]:
    """What a worker is told; `turns` comes on top, the two pipes that it takes its turns by."""
    return {
        **prepared.about,
        "rows": str(prepared.folder / "rows.jsonl"),
        "head": str(prepared.folder / "head.safetensors"),
        "cache": str(CACHE),
        "steps": steps,
        "settings": settings,
        "prepare": only_prepare,
        "ask": ask,
        "profile": profile,
        "started": time.time(),
    }


class Process:
    """A contestant's process. It is loaded when this returns, or has ended, and computes in its turns only.

    Args:
        entry: who trains.
        prepared: on what.
        told: its job.
        longest: seconds after which it is given up, waiting included.
    """

    def __init__(self, entry: Entry, prepared: Prepared, told: dict[str, Any], longest: float) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{prepared.name}-{entry.contestant.name}-", dir=_jobs()))
        self.longest, self.until = longest, time.time() + longest
        go_read, self._go = os.pipe()
        self._ready, ready_write = os.pipe()
        file, ablate = self.folder / "job.json", None if entry.ablate == NOTHING else entry.ablate
        file.write_text(json.dumps(told | {"turns": [go_read, ready_write]}), encoding="utf-8")
        with (self.folder / "said.txt").open("w", encoding="utf-8") as said:
            self._process = subprocess.Popen(
                [str(python(entry.contestant.environment)), str(WORKERS / entry.contestant.worker), str(file)],
                cwd=self.folder,
                env=environment(ablate),
                stdout=said,
                stderr=subprocess.STDOUT,
                pass_fds=(go_read, ready_write),
                preexec_fn=_within_memory,
            )
        os.close(go_read)
        os.close(ready_write)
        self.going = self._waits()

    def turn(self) -> None:
        """Lets it compute its next step, or save and end; `going` says whether there is more to come."""
        os.write(self._go, b".")
        self.going = self._waits()

    def _waits(self) -> bool:
        """Whether it asks for a turn: not when it has ended, or took too long."""
        asked, _, _ = select.select([self._ready], [], [], max(self.until - time.time(), 0))
        return bool(asked and os.read(self._ready, 1))

    def result(self) -> Result:
        """What it wrote, {} when it was only to prepare, or {"failed": the last lines it said}."""
        try:
            code = self._process.wait(max(self.until - time.time(), 0))
        except subprocess.TimeoutExpired:
            return {"failed": f"given up after {self.longest:.0f} s"}
        written = self.folder / "result.json"
        if written.exists():
            found: Result = json.loads(written.read_text(encoding="utf-8"))
            return found
        said = (self.folder / "said.txt").read_text(encoding="utf-8", errors="replace")
        return {} if code == 0 else {"failed": _last_lines(said)}

    def close(self) -> None:
        """Ends it, if it has not ended yet, and removes its files."""
        self._process.kill()
        self._process.wait()
        os.close(self._go)
        os.close(self._ready)
        shutil.rmtree(self.folder, ignore_errors=True)


def together(
    entries: Sequence[Entry],
    prepared: Prepared,
    steps: int,
    *,
    only_prepare: bool = False,
    ask: dict[str, Any] | None = None,
    profile: bool = False,
    longest: float = LONGEST,
) -> list[Result]:
    """Trains with every entry, a step each in turn; the workers' results, or {"failed": the last lines it said}.

    Args:
        entries: who trains.
        prepared: on what.
        steps: optimiser steps.
        only_prepare: converts the base and trains nothing.
        ask: {"every": steps, "target": accuracy, "rows": file}: stops at that accuracy.
        profile: writes down what the counted steps are spent on.
        longest: seconds after which a process is given up.
    """
    with ExitStack() as stack:
        processes = []
        for entry in entries:
            told = job(prepared, entry.settings, steps, only_prepare=only_prepare, ask=ask, profile=profile)
            processes.append(stack.enter_context(closing(Process(entry, prepared, told, longest))))
        while going := [process for process in processes if process.going]:
            for process in going:
                process.turn()
        return [process.result() for process in processes]


def prepare_once(contestant: Contestant, prepared: Prepared) -> None:
    """Makes the environment, and whatever a peer converts once (its own layout of the base), outside the clock."""
    if contestant.environment:
        make(contestant.environment)
    if contestant.converts:
        together([Entry(contestant, contestant.settings)], prepared, 1, only_prepare=True)


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
