"""What every worker shares: the job it reads, the clock of its steps, the result it writes. Needs torch alone.

Job (JSON): see `race.processes.job`. Result (JSON): seconds and loss of each optimiser step, rows and tokens of each,
seconds from process start to saved adapter, peak resident memory, versions.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.profiler import ProfilerActivity, profile

IGNORED = -100


class Job:
    """What is to be trained, by keys; `settings` are the contestant's own."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.values: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        self.settings: dict[str, Any] = self.values["settings"]
        self.output = self.path.parent / "adapter"

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    @property
    def dtype(self) -> torch.dtype:
        return getattr(torch, self.settings["dtype"])

    @property
    def micro_batch(self) -> int:
        return int(self.settings["micro_batch"])

    def rows(self) -> list[dict[str, list[int]]]:
        """Rows as input_ids, attention_mask and labels, in training order.

        Rows of a step lie side by side by length, so that its micro-batches need little padding.
        """
        with Path(self["rows"]).open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        rows.sort(key=lambda row: (row["step"], -len(row["ids"])))
        return [self._row(row) for row in rows if row["step"] <= self["steps"]]

    @staticmethod
    def _row(row: dict[str, Any]) -> dict[str, Any]:
        ids = row["ids"]
        if "label" in row:
            labels: Any = row["label"]
        else:
            labels = [token if learned else IGNORED for token, learned in zip(ids, row["supervised"], strict=True)]
        return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}

    def steps(self) -> list[list[dict[str, list[int]]]]:
        """The rows of each optimiser step."""
        rows, size = self.rows(), self["batch_size"]
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def micro_batch_weights(self) -> list[float]:
        """What the mean loss of each micro-batch is multiplied with, so that the mean of a step's products is the mean
        over its supervised tokens.
        """
        weights: list[float] = []
        for step in self.steps():
            learned = [sum(label != IGNORED for label in row["labels"][1:]) for row in step]
            parts = [sum(learned[at : at + self.micro_batch]) for at in range(0, len(step), self.micro_batch)]
            weights += [part * len(parts) / sum(parts) for part in parts]
        return weights


class Clock:
    """Times optimiser steps, whoever takes them: from the end of one step's update to the end of the next one's.

    Between two steps it waits for its turn.

    Attributes:
        seconds: of each step.
        started_after: seconds from process start until everything was loaded.
        waited: seconds in which it was not its turn.
        profile: what the counted steps are spent on, when the job asks for it.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.started_after, self.waited = 0.0, 0.0
        self.profile: Profile | None = None
        self._last = time.perf_counter()
        self._after: Callable[[], None] | None = None
        register_optimizer_step_post_hook(self._tick)

    def start(self, job: Job, after: Callable[[], None] | None = None) -> None:
        """Called when everything is loaded and training begins; `after` is called after every step, uncounted."""
        self.started_after = time.time() - job["started"]
        self._after = after
        self.profile = Profile(job["steps"]) if job["profile"] else None
        self._go, self._ready = job["turns"]
        self._wait()

    def _tick(self, *_: Any) -> None:
        self.seconds.append(time.perf_counter() - self._last)
        if self._after:
            self._after()
        if self.profile:
            self.profile.after(len(self.seconds))
        self._wait()

    def _wait(self) -> None:
        asked = time.perf_counter()
        os.write(self._ready, b".")
        if not os.read(self._go, 1):
            raise SystemExit("whoever gave the turns is gone")
        self._last = time.perf_counter()
        self.waited += self._last - asked


class Profile:
    """What torch spends the counted steps on. It slows them by what it writes down, some microseconds an operation.

    Attributes:
        kinds: seconds by kind of operation, and the GFLOP that torch counts of it (of products only); empty until the
            last step is over.
    """

    def __init__(self, steps: int) -> None:
        self.steps, self.kinds = steps, {kind: {"seconds": 0.0, "gflop": 0.0} for kind in KINDS}
        self._profiler = profile(activities=[ProfilerActivity.CPU], record_shapes=True, with_flops=True)

    def after(self, step: int) -> None:
        """Told of every step that is over; the first one only warms up."""
        if step == 1:
            self._profiler.start()
        if step == self.steps:
            self._profiler.stop()
            self._sum()

    def _sum(self) -> None:
        for event in self._profiler.key_averages():
            if kind := kind_of(event.key):
                self.kinds[kind]["seconds"] += event.self_cpu_time_total / 1e6
                self.kinds[kind]["gflop"] += event.flops / 1e9


KINDS = ("products", "attention", "others")
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "mkldnn::")


def kind_of(event: str) -> str | None:
    """The kind of an operation of torch: a matrix product, attention, any other; None of what is none."""
    if not event.startswith(("aten::", "mkldnn::")):
        return None
    if "attention" in event:
        return "attention"
    return "products" if event.startswith(PRODUCTS) else "others"


class Reached(Exception):
    """Raised out of a trainer when its network is good enough."""


class Questions:
    """Asks a network of `transformers` every few steps, and stops training at the target.

    Attributes:
        curve: (step, seconds from process start without the asking, accuracy).
    """

    def __init__(self, job: Job, clock: Clock, network: Any) -> None:
        self.clock, self.network, self.pad_id = clock, network, job["pad_id"]
        self.every, self.target = job["ask"]["every"], job["ask"]["target"]
        with Path(job["ask"]["rows"]).open(encoding="utf-8") as file:
            self.rows = sorted(map(json.loads, file), key=lambda row: len(row["prompt"]))
        self.curve: list[tuple[int, float, float]] = []

    def __call__(self) -> None:
        step = len(self.clock.seconds)
        if step % self.every == 0:
            accuracy = self.accuracy()
            seconds = self.clock.started_after + sum(self.clock.seconds)
            self.curve.append((step, round(seconds, 2), round(accuracy, 4)))
            if accuracy >= self.target:
                raise Reached

    @torch.inference_mode()
    def accuracy(self, at_once: int = 16) -> float:
        """Share of the test rows whose most likely label is the right one."""
        self.network.eval()
        right = 0
        for start in range(0, len(self.rows), at_once):
            rows = self.rows[start : start + at_once]
            prompts = [row["prompt"] for row in rows]
            batch = pad(
                [{"input_ids": ids, "attention_mask": [1] * len(ids), "labels": 0} for ids in prompts], self.pad_id
            )
            logits_btv = self.network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            for row, logits_tv in zip(rows, logits_btv, strict=True):
                scores = logits_tv[len(row["prompt"]) - 1, row["answers"]]
                right += int(scores.argmax()) == row["right"]
        self.network.train()
        return right / len(self.rows)


def watched(job: Job, clock: Clock, network: Any) -> Questions | None:
    """The questions that a job wants asked, if any."""
    return Questions(job, clock, network) if job["ask"] else None


def pad(rows: list[dict[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Rows as tensors [b, t], padded on the right; labels of a classifier as [b]."""
    longest = max(len(row["input_ids"]) for row in rows)

    def filled(key: str, value: int) -> torch.Tensor:
        return torch.tensor([[*row[key], *[value] * (longest - len(row[key]))] for row in rows])

    classes = isinstance(rows[0]["labels"], int)
    labels = torch.tensor([row["labels"] for row in rows]) if classes else filled("labels", IGNORED)
    return {"input_ids": filled("input_ids", pad_id), "attention_mask": filled("attention_mask", 0), "labels": labels}


def finish(job: Job, clock: Clock, losses: list[float], packages: tuple[str, ...], **more: Any) -> None:
    """Writes the result; called when the adapter is on disk."""
    result = {
        "saved_after": time.time() - job["started"] - clock.waited,
        "peak_memory_mb": peak_memory_mb(),
        "started_after": clock.started_after,
        "seconds": [round(value, 4) for value in clock.seconds],
        "losses": losses,
        "versions": {name: version(name) for name in ("torch", *packages)},
        "threads": torch.get_num_threads(),
        "kinds": clock.profile.kinds if clock.profile else None,
        **more,
    }
    (job.path.parent / "result.json").write_text(json.dumps(result, indent=2), encoding="utf-8")


def peak_memory_mb() -> float:
    """The most memory this process has held, in MB.

    Read from the kernel's account of this process alone: getrusage starts from what the parent held when it forked.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024 / 1e6


def read_job() -> Job:
    """The job that the command line names."""
    return Job(sys.argv[1])
