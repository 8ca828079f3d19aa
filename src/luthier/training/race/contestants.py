"""The two contestants of a race. Each trains for some seconds and says what it did."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count, takewhile
from math import ceil
from typing import Any

import numpy as np

from luthier import registry
from luthier.data.records import TokenSequence
from luthier.models.compute import KINDS
from luthier.models.quiet import quiet
from luthier.runs import Event, Run
from luthier.training.loop import Trainer, build_optimizer
from luthier.training.race import Turn
from luthier.training.record import describe
from luthier.training.session import Materials, Session

TOKENS_AT_ONCE = 8192
"""Padded tokens up to which the stock Trainer takes a whole step at once; then it accumulates gradients."""


class _TimeIsUp(Exception):
    pass


class _Stopwatch:
    """Keeps what happens at every step.

    Args:
        session: whose rows are trained on.
        budget: seconds of training.

    Attributes:
        share: seconds that come on top of every step, for what was computed once for the whole run.
    """

    def __init__(self, session: Session, budget: float) -> None:
        self.session, self.budget = session, budget
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.share = 0.0
        self.last = time.perf_counter()

    def start(self) -> None:
        """The first step begins."""
        self.last = time.perf_counter()

    def step(self, loss: float) -> bool:
        """A step has ended; whether the race goes on."""
        now = time.perf_counter()
        self.losses.append(loss)
        self.seconds.append(now - self.last + self.share)
        self.last = now
        return sum(self.seconds) < self.budget

    def turn(self, contestant: str, about: list[str], loading: float) -> Turn:
        """The result."""
        order, device = self.session.order, self.session.base.device
        rows = [order.rows(step) for step in range(1, len(self.losses) + 1)]
        return Turn(
            contestant,
            about,
            losses=self.losses,
            seconds=self.seconds,
            rows=[len(chosen) for chosen in rows],
            tokens=[int(order.lengths[chosen].sum()) for chosen in rows],
            loading_seconds=loading,
            peak_memory_mb=KINDS[device.type].peak_memory_mb(device),
            dropout=any(map(_drops, self.session.network.modules())),
        )


def _drops(module: Any) -> bool:
    return type(module).__name__ == "Dropout" and module.p > 0


class _Timed(Trainer):
    """The loop as it is; what its engine computes before the first step is charged to all steps of the run alike."""

    def __init__(self, session: Session, watch: _Stopwatch) -> None:
        super().__init__(session)
        self.watch = watch

    def begin(self, rows: Sequence[TokenSequence]) -> None:
        began = time.perf_counter()
        super().begin(rows)
        self.watch.share = (time.perf_counter() - began) / self.total
        self.watch.start()


def luthier(materials: Materials, run: Run, budget: float) -> Turn:
    """Trains as `luthier train` does, with the engine that the configuration leads to."""
    began = time.perf_counter()
    session = Session.start(materials, run, materials.load_base())
    watch = _Stopwatch(session, budget)
    loop = _Timed(session, watch)

    def listen(event: Event) -> None:
        if event["kind"] == "step" and not (watch.step(event["loss"]) and event["step"] < session.total_steps):
            raise _TimeIsUp

    session.events.listeners.append(listen)
    loading = time.perf_counter() - began
    with suppress(_TimeIsUp):
        loop.fit()
    facts = describe(session)
    about = [f"engine {facts['engine']}: {facts['engine_reason']}", f"{facts['dtype']} on {facts['device']}"]
    return watch.turn("luthier", about, loading)


def trainer(materials: Materials, run: Run, budget: float) -> Turn:
    """Trains the same network with `transformers.Trainer` as it is, but for the order of rows."""
    began = time.perf_counter()
    plain = materials.config.training.model_copy(update={"engine": "reference", "memory": "fast"})
    materials = replace(materials, config=materials.config.model_copy(update={"training": plain}))
    session = Session.start(materials, run, materials.load_base())
    watch, parts = _Stopwatch(session, budget), accumulation(session)
    batches = stock_batches(session, parts)
    with quiet():
        stock = _stock_trainer(session, watch, batches, parts)
        loading = time.perf_counter() - began
        stock.train()
    most = "up to " * (session.order.packs is not None) + str(max(map(len, batches)))
    rows = f"{most} rows at once, padded to the longest of them"
    about = [
        rows if parts == 1 else f"{rows}, {parts} times a step",
        "its own loop, loss of the stock model from labels, no gradient checkpointing",
        f"{str(session.base.dtype).removeprefix('torch.')} on {session.base.device}",
    ]
    return watch.turn("trainer", about, loading)


CONTESTANTS: dict[str, Callable[[Materials, Run, float], Turn]] = {"luthier": luthier, "trainer": trainer}


def accumulation(session: Session) -> int:
    """In how many parts the stock Trainer takes every step: as few as `micro_batch` or `TOKENS_AT_ONCE` allow.

    The parts are equal; but steps of packed rows have more or fewer of them, and no more parts than the smallest of
    these has rows.
    """
    training, order = session.materials.config.training, session.order
    automatic = max(TOKENS_AT_ONCE // int(order.lengths.max()), 1)
    most = automatic if training.micro_batch == "auto" else training.micro_batch
    rows = {step: len(order.rows(step)) for step in range(1, session.total_steps + 1)}
    largest = max(rows.values())
    parts = ceil(largest / most)
    if order.packs is None:
        return next(each for each in count(parts) if largest % each == 0)
    return min(parts, *(rows[step] for step in rows if step % order.steps_per_epoch), largest)


def stock_batches(session: Session, parts: int) -> list[list[int]]:
    """Row numbers of the stock Trainer's micro-batches in order, until a step has too few rows for its parts."""
    steps = (session.order.rows(step) for step in range(1, session.total_steps + 1))
    whole = takewhile(lambda rows: len(rows) >= parts, steps)
    return [part.tolist() for rows in whole for part in np.array_split(rows, parts)]


def _stock_trainer(session: Session, watch: _Stopwatch, batches: list[list[int]], parts: int) -> Any:
    """`transformers.Trainer` with Luthier's optimiser, learning rates and order of rows."""
    from torch.optim.lr_scheduler import LambdaLR
    from torch.utils.data import DataLoader
    from transformers import Trainer as StockTrainer
    from transformers import TrainerCallback, TrainingArguments

    materials, training, total = session.materials, session.materials.config.training, session.total_steps
    parts_of_loss: list[float] = []

    def collate(rows: Sequence[TokenSequence]) -> dict[str, Any]:
        batch = materials.task.collate(rows, materials.tokenizer.pad_token_id, materials.renderer.labels)
        return {"input_ids": batch.input_ids_bt, "attention_mask": batch.attention_mask_bt, "labels": batch.targets}

    class Ordered(StockTrainer):  # type: ignore[misc]
        def get_train_dataloader(self) -> Any:
            return DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=collate)

        def training_step(self, *inputs: Any, **named: Any) -> Any:
            loss = super().training_step(*inputs, **named)
            parts_of_loss.append(float(loss))
            return loss

    class Watched(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            watch.start()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = not watch.step(sum(parts_of_loss))
            parts_of_loss.clear()

    schedule = registry.load("schedule", training.schedule.name)(training.schedule)
    optimizer = build_optimizer(session)
    settings = TrainingArguments(
        output_dir=str(session.run.path / "trainer"),
        max_steps=len(batches) // parts,
        per_device_train_batch_size=max(map(len, batches)),
        gradient_accumulation_steps=parts,
        max_grad_norm=training.max_grad_norm or 0.0,
        seed=training.seed,
        use_cpu=session.base.device.type == "cpu",
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
    )
    stock = Ordered(
        model=session.network,
        args=settings,
        train_dataset=materials.prepared.train,
        optimizers=(optimizer, LambdaLR(optimizer, lambda done: schedule.factor(done + 1, total + 1))),
        callbacks=[Watched()],
    )
    # Classifiers accept the count of items and then give a mean of their part: the Trainer has to divide it itself.
    stock.model_accepts_loss_kwargs &= materials.task.head == "causal_lm"
    return stock
