"""Checkpoints: written aside, synced, hashed and renamed, so that a crash leaves whole ones only.

checkpoints/
  step-000120/
    trained.safetensors     what the method trains
    optimizer.safetensors   the optimiser's tensors, named INDEX.KEY; its plain numbers stand in the file's metadata
    random.safetensors      states of the random generators
    progress.json           step, best score so far, tokens and seconds so far
    manifest.json           a hash of every file above, written last
  best                      name of the best checkpoint
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import TrainingError
from luthier.models.compute import KINDS
from luthier.runs.files import read_json, write_json, write_text

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.methods import Method


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        step: optimiser steps done.
        tokens: real tokens trained on.
        loss: summed loss of the steps since the last evaluation.
        learned: what it is divided by for the mean: their supervised tokens, or rows of a classifier.
        seconds: time spent in steps.
        elapsed: seconds since training began, evaluations and checkpoints included, interruptions not.
        best_step: step of the best evaluation; 0 = none yet.
        best_value: its score.
        stale: evaluations since then without improvement of the early-stopping metric.
        watched: best value of the early-stopping metric.
        loss_scale: what the loss is multiplied by before the backward pass, in float16.
        good_steps: steps since it was last changed.
        schedule: what a schedule that follows scores remembers.
    """

    step: int = 0
    tokens: int = 0
    loss: float = 0.0
    learned: int = 0
    seconds: float = 0.0
    elapsed: float = 0.0
    best_step: int = 0
    best_value: float | None = None
    stale: int = 0
    watched: float | None = None
    loss_scale: float = 1.0
    good_steps: int = 0
    schedule: dict[str, float | None] = field(default_factory=dict)


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they are kept.
        keep: how many to keep besides the best one.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def path(self, step: int) -> Path:
        """Folder of the checkpoint of a step."""
        return self.folder / f"step-{step:06d}"

    @property
    def best(self) -> Path | None:
        """The best checkpoint, if one was marked."""
        mark = self.folder / "best"
        return self.folder / mark.read_text(encoding="utf-8").strip() if mark.exists() else None

    def mark_best(self, step: int) -> None:
        """Marks the checkpoint of a step as the best one."""
        write_text(self.folder / "best", self.path(step).name + "\n")

    def complete(self) -> list[Path]:
        """All whole checkpoints, oldest first."""
        return sorted(path.parent for path in self.folder.glob("step-*/manifest.json"))

    def save(
        self, network: nn.Module, method: Method, optimizer: torch.optim.Optimizer, progress: Progress, *, best: bool
    ) -> Path:
        """Writes the state of a run; with `best`, marks it. Older ones beyond `keep` are removed.

        Raises:
            TrainingError: the disk is full, or refuses; the checkpoints that there were are still there.
        """
        target = self.path(progress.step)
        aside = target.with_name(f".{target.name}.{os.getpid()}.partial")
        shutil.rmtree(aside, ignore_errors=True)
        with writing(f"the checkpoint of step {progress.step}", self.folder.parent, aside):
            aside.mkdir(parents=True)
            _write(aside, network, method, optimizer, progress)
            shutil.rmtree(target, ignore_errors=True)
            aside.rename(target)
            _sync(self.folder)
            if best:
                self.mark_best(progress.step)
        self._prune()
        return target

    def _prune(self) -> None:
        for old in self.complete()[: -self.keep]:
            if old != self.best:
                shutil.rmtree(old)
        for partial in self.folder.glob(".step-*.partial"):
            shutil.rmtree(partial)

    def latest(self) -> Path | None:
        """The newest checkpoint whose files are what their hashes say; damaged ones are passed over."""
        return next((path for path in reversed(self.complete()) if _intact(path)), None)

    def restore(
        self, path: Path, network: nn.Module, method: Method, optimizer: torch.optim.Optimizer | None = None
    ) -> Progress:
        """Puts a checkpoint back, bit for bit; without an optimiser, the trained weights only.

        Raises:
            TrainingError: the checkpoint is damaged.
        """
        from safetensors.torch import load_file

        if not _intact(path):
            raise TrainingError("a file of this checkpoint is damaged", where=str(path), hint="use an older checkpoint")
        method.restore(network, load_file(path / "trained.safetensors"))
        if optimizer is not None:
            _restore_optimizer(optimizer, path / "optimizer.safetensors")
            _restore_random(load_file(path / "random.safetensors"))
        return Progress(**read_json(path / "progress.json"))


@contextmanager
def writing(what: str, run: Path, folder: Path) -> Iterator[None]:
    """Where the disk refuses, removes what stands half-written in a folder and says how the run goes on.

    Args:
        what: what is written, in words.
        run: the run's folder.
        folder: where it is written.

    Raises:
        TrainingError: the disk is full, or refuses.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise TrainingError(
            f"{what} cannot be written: {error}",
            where=str(folder.parent),
            hint=f"make room, then luthier train --resume {run}",
        ) from error


def _write(
    folder: Path, network: nn.Module, method: Method, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """All files of a checkpoint, synced."""
    from safetensors.torch import save_file

    save_file(
        {k: v.detach().contiguous().clone() for k, v in method.state(network).items()},
        folder / "trained.safetensors",
    )
    tensors, numbers = _optimizer_state(optimizer)
    save_file(tensors, folder / "optimizer.safetensors", {"numbers": json.dumps(numbers)})
    save_file(_random_state(), folder / "random.safetensors")
    write_json(folder / "progress.json", asdict(progress))
    write_json(folder / "manifest.json", {p.name: _digest(p) for p in sorted(folder.iterdir())})
    for file in folder.iterdir():
        _sync(file)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _intact(path: Path) -> bool:
    try:
        manifest: dict[str, str] = read_json(path / "manifest.json")
    except ValueError:  # no JSON, or no text at all
        return False
    return all((path / name).is_file() and _digest(path / name) == digest for name, digest in manifest.items())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """(tensors, plain numbers): a number that came back as a tensor would round otherwise."""
    import torch

    tensors, numbers = {}, {}
    for name, value in _flat(optimizer.state_dict()["state"]):
        if isinstance(value, torch.Tensor):
            tensors[name] = value.detach().clone()
        else:
            numbers[name] = value
    return tensors, numbers


def _flat(values: Mapping[Any, Any], parents: str = "") -> Iterator[tuple[str, Any]]:
    """The values of mappings within mappings, by their dotted path."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{parents}{key}.")
        else:
            yield f"{parents}{key}", value


def _restore_optimizer(optimizer: torch.optim.Optimizer, file: Path) -> None:
    from safetensors import safe_open

    with safe_open(file, "pt") as stored:
        values = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - it is no mapping
        values |= json.loads(stored.metadata()["numbers"])
    state: dict[int, dict[str, Any]] = {}
    for name, value in values.items():
        index, *parents, key = name.split(".")
        place = state.setdefault(int(index), {})
        for parent in parents:
            place = place.setdefault(parent, {})
        place[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _random_state() -> dict[str, torch.Tensor]:
    return {
        f"{name}.{number}": state
        for name, kind in KINDS.items()
        if kind.available()
        for number, state in enumerate(kind.random_states())
    }


def _restore_random(state: dict[str, torch.Tensor]) -> None:
    for name, kind in KINDS.items():
        if kind.available():
            own = {key: value for key, value in state.items() if key.startswith(f"{name}.")}
            kind.restore_random_states([own[f"{name}.{number}"] for number in range(len(own))])
