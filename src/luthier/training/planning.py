"""`luthier plan`: what a run will do, measured on a few of its own steps instead of guessed.

Memory is the process's peak after a forward and backward pass over the longest batch, with the optimiser's state in
place. Time is the sum of the run's parts, each measured on a sample of its own rows and scaled by tokens.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from luthier.config import share_to_steps
from luthier.data.records import TokenSequence
from luthier.evaluation.evaluate import Examiner
from luthier.methods import count_parameters, frozen_bytes
from luthier.models.hardware import peak_memory_mb
from luthier.models.inference import common_prefix
from luthier.progress import Report
from luthier.runs import Run
from luthier.tasks import form_of, names_in
from luthier.training.guidance import free_ram_mb, memory_warning, remarks_for
from luthier.training.loop import Trainer
from luthier.training.record import describe_engine
from luthier.training.session import Materials, Session
from luthier.training.warnings import warnings_for

SAMPLE_STEPS = 4
"""Optimiser steps that are timed, spread over the range of lengths."""

MEASURED_STEPS = 256
"""Steps whose size is looked at, spread over the run."""

SAMPLE_ROWS = 16
"""Rows that each way of evaluating is timed on."""


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes:
        rows: rows per split.
        tokens: tokens per split.
        mix: what the run sees of each label or source, when data.balance or weights say so.
        supervised: supervised tokens of the training rows.
        longest: tokens of the longest training row.
        frozen_mb: memory of the frozen weights.
        memory_mb: peak resident memory of the process, measured at the longest batch.
        seconds: estimated time by part, and in all.
        warnings: what may go wrong, each with what to do.
        remarks: what is unusual about the run, such as its rank, and need not be wrong.
    """

    name: str
    task: str
    method: str
    rows: dict[str, int]
    tokens: dict[str, int]
    supervised: int
    longest: int
    labels: dict[str, int]
    mix: list[dict[str, Any]]
    trainable: int
    parameters: int
    frozen_mb: float
    steps: int
    batch_size: int
    longest_micro_batch: tuple[int, int]
    memory_mb: float
    seconds: dict[str, float]
    device: str
    dtype: str
    dtype_reason: str
    engine: str
    engine_reason: str
    memory: str
    memory_reason: str
    notes: list[str]
    warnings: list[str]
    remarks: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain values."""
        return asdict(self)


def make_plan(materials: Materials, preparing: float, report: Report | None = None) -> Plan:
    """Measures a few steps and every way of evaluating.

    Args:
        materials: from `Materials.gather`.
        preparing: seconds that took.
        report: told (phase, done, total).
    """

    def say(what: str, done: int, total: int) -> None:
        if report:
            report(what, done, total)

    room = free_ram_mb()
    loading, base = _timed(materials.load_base)
    with tempfile.TemporaryDirectory() as folder:
        session = Session.start(materials, Run(Path(folder)), base)
        trainer = Trainer(session)
        training, longest = _training_seconds(trainer, say)
        watching = _watching_seconds(trainer, say)
        plan = _describe(session, longest)
    del session, trainer, base  # as a run does, before it evaluates what was saved
    gc.collect()
    judging = _judging_seconds(materials, plan.steps, say)
    seconds = {
        "preparing": preparing,
        "loading": 2 * loading,  # once to train, once to evaluate what was saved
        "training": training,
        "evaluating during training": watching,
        "evaluating at the end": judging,
    }
    seconds["all"] = sum(seconds.values())
    rounded = {name: round(value, 1) for name, value in seconds.items()}
    memory = peak_memory_mb()
    crowded = [warning] if (warning := memory_warning(memory, room)) else []
    return replace(plan, seconds=rounded, memory_mb=memory, warnings=[*plan.warnings, *crowded])


def _describe(session: Session, longest: tuple[int, int]) -> Plan:
    """All of the plan but time and memory."""
    materials, config, base = session.materials, session.materials.config, session.base
    prepared = materials.prepared
    splits = {name: getattr(prepared, name) for name in ("train", "validation", "test")}
    trainable, parameters = count_parameters(session.network)
    form, answers = form_of(materials.task), prepared.train.labels
    named = Counter(name for answer in answers if answer is not None for name in names_in(answer, form))
    return Plan(
        name=config.name,
        task=config.task.name,
        method=config.method.name,
        rows={name: len(split) for name, split in splits.items()},
        tokens={name: int(sum(split.lengths)) for name, split in splits.items()},
        supervised=int(sum(prepared.train.supervised)),
        longest=int(max(prepared.train.lengths)),
        labels=dict(sorted(named.items())) if materials.renderer.labels else {},
        mix=[share.to_dict() for share in session.order.shares(session.total_steps)],
        trainable=trainable,
        parameters=parameters,
        frozen_mb=round(frozen_bytes(session.network) / 1e6, 1),
        steps=session.total_steps,
        batch_size=config.training.batch_size,
        longest_micro_batch=longest,
        memory_mb=0.0,
        seconds={},
        device=str(base.device),
        dtype=str(base.dtype).removeprefix("torch."),
        dtype_reason=base.dtype_reason,
        **describe_engine(session.choice),
        notes=[*prepared.notes, *session.order.notes],
        warnings=warnings_for(session, parameters),
        remarks=remarks_for(materials),
    )


def _training_seconds(trainer: Trainer, say: Callable[[str, int, int], None]) -> tuple[float, tuple[int, int]]:
    """(seconds of all steps, rows and computed tokens of the largest micro-batch).

    The step with the largest micro-batch goes first: it warms up, and it sets the peak of memory together with the
    optimiser's state. Then steps across the range of sizes are timed, and a line through the origin and them
    gives the seconds per computed token.
    """
    engine, total = trainer.session.choice.engine, trainer.total
    steps = np.unique(np.linspace(1, total, min(total, MEASURED_STEPS)).astype(int))
    computed = np.zeros(len(steps))
    largest, longest_step, shape = 0, 1, (0, 0)
    for index, step in enumerate(steps):
        micro_batches = engine.batches(trainer.rows(int(step)))
        computed[index] = sum(micro.computed for micro in micro_batches)
        micro = max(micro_batches, key=lambda micro: micro.computed)
        if micro.computed > largest:
            largest, longest_step, shape = micro.computed, int(step), (len(micro.batch.row_ids), micro.computed)
    _one_step(trainer, longest_step)
    by_size = np.argsort(computed)
    chosen = [by_size[int(q * (len(steps) - 1))] for q in np.linspace(0.1, 0.9, min(SAMPLE_STEPS, len(steps)))]
    sample = [row for index in chosen for row in trainer.rows(int(steps[index]))]
    beginning = _timed(lambda: trainer.begin(sample))[0]
    every = sum(trainer.materials.prepared.train.lengths) / sum(len(row.ids) for row in sample)
    seconds = 0.0
    for done, index in enumerate(chosen):
        say("measuring training steps", done, len(chosen))
        seconds += _timed(partial(_one_step, trainer, int(steps[index])))[0]
    return beginning * every + seconds / computed[chosen].sum() * computed.mean() * total, shape


def _one_step(trainer: Trainer, step: int) -> None:
    """A whole optimiser step that learns nothing."""
    trainer.gradient(step)
    for group in trainer.optimizer.param_groups:
        group["lr"] = 0.0
    trainer.optimizer.step()
    trainer.optimizer.zero_grad()


def _watching_seconds(trainer: Trainer, say: Callable[[str, int, int], None]) -> float:
    """Seconds of all evaluations during training, the shown samples included."""
    judge, config = trainer.judge, trainer.materials.config.evaluation
    if not judge.rows:
        return 0.0
    every = share_to_steps(config.every, trainer.total) or trainer.total
    times = -(-trainer.total // every)
    trainer.network.eval()
    say("measuring evaluation", 0, 2)
    shown, _ = _timed(lambda: judge.samples(trainer.network))
    scored = _scaled(judge.rows, lambda rows: judge.sampled(rows).score(trainer.network))
    say("measuring evaluation", 2, 2)
    return times * scored + (times + 1) * shown


def _judging_seconds(materials: Materials, steps: int, say: Callable[[str, int, int], None]) -> float:
    """Seconds of asking base, few-shot base and tuned model about the test rows at the end, and of the baselines."""
    prepared = materials.prepared
    rows = prepared.test if len(prepared.test) else prepared.validation
    if not len(rows):
        return 0.0
    examiner = Examiner(materials.config, materials.task, materials.renderer, "test", rows, prepared.train)
    say("measuring the final evaluation", 0, 2)
    network = materials.method.apply(
        materials.load_base(), peft_task=materials.task.peft_task, total_steps=steps
    ).eval()
    plain = _scaled(rows, lambda some: examiner.sampled(some).answers("plan", network))
    shown = examiner.few_shot_renderer()
    say("measuring the final evaluation", 1, 2)
    shots = 0.0
    if shown:
        shots = _scaled(rows, lambda some: examiner.sampled(some).answers("plan", network, renderer=shown))
    simple = _timed(examiner.baselines)[0]
    say("measuring the final evaluation", 2, 2)
    return plain * (2 if materials.task.base_answers else 1) + shots + simple


def _scaled(rows: Sequence[TokenSequence], ask: Callable[[Sequence[TokenSequence]], object]) -> float:
    """Seconds that asking about all rows takes, from two samples: a fixed part, and a part that grows with tokens."""
    lengths = np.array([len(row.ids) for row in rows])
    if len(rows) <= 3 * SAMPLE_ROWS:
        return _timed(lambda: ask(rows))[0]
    by_length = np.argsort(lengths)
    large = [int(by_length[int(q)]) for q in np.linspace(0, len(rows) - 1, 3 * SAMPLE_ROWS)]
    small = large[1::3]
    shared = common_prefix([rows[index].ids for index in large])
    times = [_timed(partial(ask, [rows[index] for index in some]))[0] for some in (small, large)]
    tokens = [float((lengths[some] - shared).sum()) for some in (small, large)]
    rate = max(times[1] - times[0], 0.0) / max(tokens[1] - tokens[0], 1.0)
    return times[1] + rate * (float((lengths - shared).sum()) - tokens[1])


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result
