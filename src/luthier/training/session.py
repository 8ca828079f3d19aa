"""Gathers what a training needs: the materials before a weight is loaded, then the network with its method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from luthier import registry
from luthier.config import RunConfig
from luthier.data.prepare import Prepared, prepare
from luthier.data.rendering import Renderer
from luthier.methods import Method
from luthier.models.base import BaseModel, ModelFiles
from luthier.models.digests import tokenizer_digest
from luthier.models.files import resolve
from luthier.models.loading import load_base, load_tokenizer
from luthier.runs import EventLog, Run
from luthier.runs.files import cache_folder
from luthier.tasks import Task
from luthier.training.checkpoints import Progress
from luthier.training.engines import Choice, choose_engine
from luthier.training.order import Order

if TYPE_CHECKING:
    from torch import nn

Report = Callable[[str, int, int | None], None]
"""Told (phase, how much is done, how much there is or None)."""


@dataclass(frozen=True)
class Materials:
    """All that a run needs before a weight is loaded.

    Attributes:
        files: the base model on disk.
        prepared: rows as tokens, by split, and the ledger.
        renderer: how text becomes tokens in this run.
    """

    config: RunConfig
    task: Task
    method: Method
    files: ModelFiles
    tokenizer: Any
    prepared: Prepared
    renderer: Renderer

    @classmethod
    def gather(cls, config: RunConfig, report: Report | None = None) -> Materials:
        """Finds the base, loads its tokenizer and prepares the data, or takes it from the cache."""

        def say(what: str) -> None:
            if report:
                report(what, 0, None)

        files = resolve(config.model.base, allow_pickle=config.model.allow_pickle, progress=say)
        tokenizer = load_tokenizer(files, trust_remote_code=config.model.trust_remote_code)
        task: Task = registry.load("task", config.task.name)(config.task)
        prepared = prepare(
            config, task, tokenizer, tokenizer_digest(files.folder), cache=cache_folder() / "prepared", progress=report
        )
        return cls(
            config,
            task,
            registry.load("method", config.method.name)(config.method),
            files,
            tokenizer,
            prepared,
            Renderer.for_data(config.data, tokenizer, prepared.labels),
        )

    def load_base(self) -> BaseModel:
        """The base model in memory. A new classification head depends on the training's seed and nothing else."""
        import torch
        from torch.utils import deterministic

        torch.manual_seed(self.config.training.seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Otherwise NaN is written into every new tensor first.
        deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        outputs = self.task.outputs(self.renderer.labels)
        return load_base(self.config.model, self.files, head=self.task.head, labels=outputs)


@dataclass
class Session:
    """A training about to run: materials, the network with its method, and where it is recorded.

    Attributes:
        network: the base with the method applied.
        order: which rows each step takes.
        choice: which engine computes, and why.
        events: where steps are told.
        progress: how far it has come.
    """

    materials: Materials
    run: Run
    base: BaseModel
    network: nn.Module
    order: Order
    choice: Choice
    events: EventLog
    progress: Progress = field(default_factory=Progress)

    @classmethod
    def start(cls, materials: Materials, run: Run, base: BaseModel) -> Session:
        """Applies the method to the base."""
        training, rows = materials.config.training, materials.prepared.train
        order = Order(
            rows.lengths,
            rows.labels,
            batch_size=training.batch_size,
            balance=materials.config.data.balance,
            seed=training.seed,
        )
        steps = order.total_steps(training.epochs, training.max_steps)
        network = materials.method.apply(base, peft_task=materials.task.peft_task, total_steps=steps)
        return cls(materials, run, base, network, order, choose_engine(materials, network, base), run.events)

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        training = self.materials.config.training
        return self.order.total_steps(training.epochs, training.max_steps)
