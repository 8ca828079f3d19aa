"""A bench for the loop: the small run's materials, and trainers on fresh copies of the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.config import load_config
from luthier.runs import Run, read_events
from luthier.training.loop import Trainer
from luthier.training.session import Materials, Session
from luthier.training.sizes import Sizes, tuned_without_weights


@dataclass
class Bench:
    """Makes materials and trainers.

    Attributes:
        folder: where everything is written.
    """

    folder: Path
    write: Callable[..., Path]
    models: dict[str, Path]
    rows: Path

    def materials(self, base: str = "llama", **parts: Any) -> Materials:
        file = self.write(self.folder / "run.yaml", self.models[base], self.rows, **parts)
        return Materials.gather(load_config(file))

    def sizes(self, materials: Materials, dtype: str = "float32") -> Sizes:
        """Of the materials' network, without its weights."""
        return Sizes.of(*tuned_without_weights(materials, getattr(torch, dtype)), materials.task.head)

    def trainer(self, materials: Materials, name: str = "run") -> Trainer:
        """A trainer in the folder of that name, which may have been used before."""
        run = Run(self.folder / name)
        run.path.mkdir(exist_ok=True)
        return Trainer(Session.start(materials, run, materials.load_base()))


@pytest.fixture
def bench(own_cache, tmp_path, write_config, tiny_llama, tiny_bert, tiny_t5, labelled_file) -> Bench:
    models = {"llama": tiny_llama, "bert": tiny_bert, "t5": tiny_t5}
    return Bench(tmp_path, write_config, models, labelled_file)


@pytest.fixture
def weights() -> Callable[[Trainer], dict[str, Any]]:
    """What a trainer has trained, by name."""
    return lambda trainer: trainer.materials.method.state(trainer.network)


@pytest.fixture
def same() -> Callable[[Any, Any], bool]:
    """Whether two states are the same, bit for bit."""

    def compare(one: dict[str, Any], other: dict[str, Any]) -> bool:
        return one.keys() == other.keys() and all(bool((one[name] == other[name]).all()) for name in one)

    return compare


@pytest.fixture
def events() -> Callable[..., list[dict[str, Any]]]:
    """Events of a trainer's run, of one kind."""
    return lambda trainer, kind="step": list(read_events(trainer.session.run.events.path, kind))
