"""Gathers what a training needs: the materials before a weight is loaded, then the network with its method."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from luthier import registry
from luthier.config import RunConfig
from luthier.data.prepare import Prepared, prepare
from luthier.data.records import Batch, TokenSequence
from luthier.data.rendering import Renderer
from luthier.errors import DataError
from luthier.methods import LooksAtRows, Method
from luthier.models.base import BaseModel, ModelFiles
from luthier.models.digests import tokenizer_digest
from luthier.models.files import resolve
from luthier.models.loading import load_base, load_tokenizer
from luthier.models.origins import Origins
from luthier.progress import Report
from luthier.runs import EventLog, Run
from luthier.runs.files import cache_folder
from luthier.tasks import ComparesWithBase, Task, problem_of
from luthier.training.checkpoints import Progress
from luthier.training.engines import Choice, choose_engine
from luthier.training.order import Order

if TYPE_CHECKING:
    import torch
    from torch import nn


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
    def gather(cls, config: RunConfig, report: Report | None = None, *, digest: str | None = None) -> Materials:
        """Finds the base, loads its tokenizer and prepares the data, or takes it from the cache.

        Args:
            config: the run.
            report: told (phase, done, total).
            digest: the rows of that digest will do, whatever has become of their files, where the cache has them.
        """

        def say(what: str) -> None:
            if report:
                report(what, 0, None)

        files = resolve(config.model.base, allow_pickle=config.model.allow_pickle, progress=say)
        tokenizer = load_tokenizer(files, trust_remote_code=config.model.trust_remote_code)
        task: Task = registry.load("task", config.task.name)(config.task)
        cache = cache_folder() / "prepared"
        prepared = (Prepared.cached(cache, digest) if digest else None) or prepare(
            config, task, tokenizer, tokenizer_digest(files.folder), cache=cache, progress=report
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

    @classmethod
    def of(cls, run: Run, report: Report | None = None, *, as_they_were: bool = False) -> Materials:
        """The materials that a run was begun with.

        Args:
            run: begun before.
            report: told (phase, done, total).
            as_they_were: the run's rows are taken from the cache, also when their files have changed since.

        Raises:
            ConfigError: the base, its tokenizer, the template or the rows are no longer the same.
        """
        digest = Origins.recorded(run).data if as_they_were else None
        materials = cls.gather(run.config, report, digest=digest)
        materials.origins.check(run)
        return materials

    @property
    def origins(self) -> Origins:
        """Digests of what these were made from."""
        return Origins.now(self.files, self.renderer, self.prepared.digest)

    def load_base(self) -> BaseModel:
        """The base model in memory. A new classification head depends on the training's seed and nothing else."""
        import torch
        from torch.utils import deterministic

        torch.manual_seed(self.config.training.seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Otherwise NaN is written into every new tensor first.
        deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        outputs = self.task.outputs(self.renderer.labels)
        return load_base(
            self.config.model,
            self.files,
            head=self.task.head,
            labels=outputs,
            problem=problem_of(self.task),
            compute=self.method.dtype,
        )


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
        """Applies the method to the base.

        Raises:
            ModelError: the method does not fit the network, or the task.
        """
        training, rows = materials.config.training, materials.prepared.train
        order = Order.for_run(materials.config, rows)
        steps = order.total_steps(training.epochs, training.max_steps)
        task = materials.task
        compares = task if isinstance(task, ComparesWithBase) else None
        fingerprint = compares.fingerprint(base.network) if compares else None
        network = materials.method.apply(base, peft_task=task.peft_task, total_steps=steps)
        if compares and fingerprint is not None:
            compares.check(network, fingerprint)
        _show_rows(materials, network, order, base.device)
        return cls(materials, run, base, network, order, choose_engine(materials, network, base), run.events)

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        training = self.materials.config.training
        return self.order.total_steps(training.epochs, training.max_steps)


SHOWN_BATCHES = 8
"""Batches of training rows that a method looks at before it begins."""


def _show_rows(materials: Materials, network: nn.Module, order: Order, device: torch.device) -> None:
    """Lets a method that begins from rows look at the first ones."""
    method, task = materials.method, materials.task
    if isinstance(method, LooksAtRows) and (wanted := method.rows_wanted()):
        batches = [batch.to(device) for batch in _first_batches(materials, order, wanted)]
        method.initialise(network, batches, lambda batch: task.loss(network, batch))


def _first_batches(materials: Materials, order: Order, wanted: int) -> list[Batch]:
    """Batches of the first rows, each with at least so many learned tokens (or rows, of a classifier).

    Raises:
        DataError: all rows together have fewer.
    """
    batches: list[Batch] = []
    rows: list[TokenSequence] = []
    steps = range(1, order.steps_per_epoch + 1)
    for row in (materials.prepared.train[number] for step in steps for number in order.rows(step)):
        rows.append(row)
        if sum(max(row.supervised_count, 1) for row in rows) >= wanted:
            batches.append(materials.task.collate(rows, materials.tokenizer.pad_token_id, materials.renderer.labels))
            rows = []
        if len(batches) == SHOWN_BATCHES:
            break
    if not batches:
        raise DataError(
            f"{materials.config.method.name} looks at {wanted} learned tokens at once before it begins",
            hint="a lower rank, or another way to begin",
        )
    return batches
