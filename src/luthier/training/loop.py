"""The loop, on `accelerate`; what computes a loss is an engine.

The loss of an optimiser step is the sum over its supervised tokens divided by their number in the whole step, so the
result does not depend on how the step is cut into micro-batches.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from luthier import registry
from luthier.config import share_to_steps
from luthier.data.records import TokenSequence
from luthier.errors import ConfigError, Interrupted, TrainingError
from luthier.evaluation.evaluate import Judge, told
from luthier.models.hardware import FreedMemory
from luthier.training.checkpoints import Checkpoints
from luthier.training.scaling import LossScale
from luthier.training.schedules import FollowsScores
from luthier.training.session import Session
from luthier.training.stopping import stop_on_interrupt


class Trainer:
    """Runs a session from its first or its last saved step to the end."""

    def __init__(self, session: Session) -> None:
        import torch
        from accelerate import Accelerator

        materials = session.materials
        self.session = session
        self.materials = materials
        self.config = materials.config.training
        self.accelerator = Accelerator(cpu=session.base.device.type == "cpu", mixed_precision="no")
        self.optimizer = build_optimizer(session)
        self.schedule = registry.load("schedule", self.config.schedule.name)(self.config.schedule)
        self.network, self.optimizer = self.accelerator.prepare(session.network, self.optimizer)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.freed = FreedMemory()
        self.scale = LossScale(session.progress, used=session.base.dtype == torch.float16)
        self.checkpoints = Checkpoints(session.run.checkpoints, self.config.checkpoint.keep)
        self.judge = Judge.for_training(
            materials.config, materials.task, materials.renderer, materials.prepared.validation
        )
        self.total = session.total_steps
        self.best, self.watched = self._deciding()

    def _deciding(self) -> tuple[str, dict[str, str]]:
        """The metric that picks the best checkpoint, and those that early stopping and the schedule watch, by key.

        Raises:
            ConfigError: validation will not give one of them.
        """
        evaluation, watched = self.materials.config.evaluation, {}
        if self.config.early_stopping is not None:
            watched["training.early_stopping"] = self.config.early_stopping.metric
        if isinstance(self.schedule, FollowsScores):
            watched["training.schedule"] = self.schedule.metric
        if watched and (evaluation.every is None or not self.judge.rows):
            where = next(iter(watched))
            raise ConfigError(
                f"{where} goes by validation scores, and there are none meanwhile",
                where=where,
                hint="set evaluation.every, with validation rows; or do without it",
            )
        if not self.judge.rows:
            return "", {}
        self.network.eval()
        names = self.judge.score_names(self.network)
        best = self.judge.deciding(evaluation.best, names, "evaluation.best")
        found = {
            where: best if metric == "auto" else self.judge.deciding(metric, names, f"{where}.metric")
            for where, metric in watched.items()
        }
        return best, found

    def resume(self) -> bool:
        """Goes back to the newest whole checkpoint; to the very beginning, and False, when there is none."""
        latest = self.checkpoints.latest()
        if latest is None:
            self.session.events.rewind(-1)
            return False
        self.session.progress = self.checkpoints.restore(latest, self.network, self.materials.method, self.optimizer)
        self.scale.progress = self.session.progress
        if isinstance(self.schedule, FollowsScores):
            self.schedule.restore(self.session.progress.schedule)
        self.session.events.rewind(self.session.progress.step)
        if self.session.progress.best_step:  # a crash may have come between a checkpoint and its mark
            self.checkpoints.mark_best(self.session.progress.best_step)
        return True

    def fit(self) -> None:
        """Trains to the end, or until it is stopped early, then puts the best weights back.

        Raises:
            Interrupted: the user asked to stop; a checkpoint was written.
            TrainingError: the loss is not finite.
        """
        progress, events = self.session.progress, self.session.events
        events.write("state", progress.step, state="running", steps=self.total)
        self.begin(self.materials.prepared.train)
        if progress.step == 0:
            self._show_samples()
        began = time.monotonic() - progress.elapsed
        with stop_on_interrupt() as stop:
            while progress.step < self.total and not self._out_of_patience and not self._out_of_time:
                self.step()
                progress.elapsed = time.monotonic() - began
                self._evaluate_and_save()
                if stop.is_set():
                    self._save(best=False)
                    raise Interrupted(
                        f"stopped after step {progress.step} of {self.total}; everything so far is saved",
                        where=str(self.session.run.path),
                        hint=f"luthier train --resume {self.session.run.path}",
                    )
        if self.checkpoints.best is not None and progress.best_step != progress.step:
            self.checkpoints.restore(self.checkpoints.best, self.network, self.materials.method)

    def begin(self, rows: Sequence[TokenSequence]) -> None:
        """Lets the engine prepare these rows for the whole run."""
        tokens = int(sum(self.materials.prepared.train.lengths))
        passes = self.total / self.session.order.steps_per_epoch
        self.session.choice.engine.begin(rows, tokens=tokens, passes=passes)

    def step(self) -> None:
        """One optimiser step, told as an event."""
        progress, started = self.session.progress, time.perf_counter()
        step = progress.step + 1
        factor = self.schedule.factor(
            step, self.total + 1
        )  # so that neither the first nor the last step learns nothing
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * factor
        loss, norm, tokens = self.gradient(step)
        self.optimizer.step()
        self.materials.method.on_step(self.network, step)
        self.optimizer.zero_grad()
        seconds = time.perf_counter() - started
        progress.step, progress.tokens, progress.seconds = step, progress.tokens + tokens, progress.seconds + seconds
        self.session.events.write(
            "step",
            step,
            loss=loss,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            grad_norm=norm,
            tokens=progress.tokens,
            tokens_per_second=round(tokens / seconds, 1),
            seconds=round(progress.seconds, 3),
        )

    def gradient(self, step: int) -> tuple[float, float, int]:
        """Accumulates the gradient of a step, and its loss in the progress.

        Returns:
            (mean loss per supervised token, gradient norm before clipping, real tokens)

        Raises:
            TrainingError: the loss or the gradient is not finite; nothing was changed.
        """
        rows = self.rows(step)
        batches = self.session.choice.engine.batches(rows)
        self.network.train()
        total = self._backward(batches, step)
        while not self.scale.settle(self.trained):
            self.optimizer.zero_grad()
            total = self._backward(batches, step)
        norm = self._clip()
        self._check(norm, step, [row for micro in batches for row in micro.batch.row_ids], "gradient")
        self.freed.after_step()
        count = sum(micro.batch.count for micro in batches)
        progress = self.session.progress
        progress.loss, progress.learned = progress.loss + total * count, progress.learned + count
        return total, norm, sum(len(row.ids) + len(row.rejected) for row in rows)

    def _backward(self, batches: Sequence[Any], step: int) -> float:
        """Adds up the scaled gradients of a step; its mean loss."""
        engine, total = self.session.choice.engine, 0.0
        count = sum(micro.batch.count for micro in batches)
        with engine.running():
            for micro in batches:
                loss = engine.loss(micro) / count
                self._check(float(loss.detach()), step, micro.batch.row_ids, "loss")
                self.accelerator.backward(loss * self.scale.value)
                total += float(loss.detach())
        penalty = self.materials.method.penalty(self.network)
        if penalty is not None:
            self.accelerator.backward(penalty * self.scale.value)
        return total

    def rows(self, step: int) -> list[TokenSequence]:
        """The rows of a step."""
        return [self.materials.prepared.train[row] for row in self.session.order.rows(step)]

    def _clip(self) -> float:
        return float(self.accelerator.clip_grad_norm_(self.trained, self.config.max_grad_norm or math.inf))

    @property
    def trained(self) -> list[Any]:
        """All parameters that the optimiser changes."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def _check(self, value: float, step: int, row_ids: Sequence[int], what: str) -> None:
        if math.isfinite(value):
            return
        self.optimizer.zero_grad()
        shown = ", ".join(map(str, row_ids[:16]))
        raise TrainingError(
            f"the {what} of step {step} is {value}; the weights were not touched",
            where=f"rows {shown} of {self.session.run.ledger_file.name}",
            hint="look at these rows (luthier inspect --row N), lower the learning rate, or try model.dtype: float32",
        )

    @property
    def _out_of_patience(self) -> bool:
        """Whether early stopping says stop: kept in the progress, so that a resumed run does not go on."""
        stopping = self.config.early_stopping
        return stopping is not None and self.session.progress.stale >= stopping.patience

    @property
    def _out_of_time(self) -> bool:
        """Whether the time limit says stop: kept in the progress likewise."""
        limit = self.config.time_limit
        return limit is not None and self.session.progress.elapsed >= 60 * limit

    def _tell_time_is_up(self) -> None:
        step, limit = self.session.progress.step, self.config.time_limit
        message = f"training.time_limit ({limit:g} min) was reached at step {step} of {self.total}"
        self.session.events.write("warning", step, message=message)

    def _evaluate_and_save(self) -> None:
        """Evaluates and saves when it is time."""
        last = self.session.progress.step == self.total
        if self._out_of_time and not last:
            self._tell_time_is_up()
            last = True
        improved = False
        if self.judge.rows and (last or self._due(self.materials.config.evaluation.every)):
            improved = self._evaluate()
        if improved or last or self._out_of_patience or self._due(self.config.checkpoint.every):
            self._save(best=improved)

    def _due(self, every: int | float | None) -> bool:
        steps = share_to_steps(every, self.total)
        return bool(steps) and self.session.progress.step % max(int(steps or 1), 1) == 0

    def _evaluate(self) -> bool:
        """Scores validation; True for the best so far."""
        progress = self.session.progress
        self.network.eval()
        scores = self.judge.score(self.network)
        self._tell_training_loss("perplexity" in scores)
        self.session.events.write("evaluation", progress.step, split="validation", metrics=scores)
        scores = scores | self._show_samples() | scores  # where both have a metric, that of more rows decides
        value = scores[self.best]
        improved = progress.best_value is None or self.judge.better(self.best, value, progress.best_value)
        if improved:
            progress.best_step, progress.best_value = progress.step, value
        self._watch(scores)
        return improved

    def _tell_training_loss(self, perplexity: bool) -> None:
        """The mean loss of all that was learned since the last evaluation, as it was in the steps that learned it."""
        progress = self.session.progress
        metrics = {"loss": progress.loss / progress.learned}
        if perplexity:
            metrics["perplexity"] = float(np.exp(metrics["loss"]))
        self.session.events.write("evaluation", progress.step, split="train", metrics=metrics)
        progress.loss, progress.learned = 0.0, 0

    def _watch(self, scores: dict[str, float]) -> None:
        """Tells early stopping and the schedule how validation went."""
        stopping, progress = self.config.early_stopping, self.session.progress
        if stopping is not None:
            metric = self.watched["training.early_stopping"]
            better = progress.watched is None or self.judge.better(metric, scores[metric], progress.watched)
            progress.watched, progress.stale = (scores[metric], 0) if better else (progress.watched, progress.stale + 1)
        if isinstance(self.schedule, FollowsScores):
            metric = self.watched["training.schedule"]
            self.schedule.see(scores[metric], partial(self.judge.better, metric))
            progress.schedule = self.schedule.state()

    def _show_samples(self) -> dict[str, float]:
        """Tells what the model says about the shown rows; the scores of what it wrote."""
        self.network.eval()
        samples, step = self.judge.samples(self.network), self.session.progress.step
        scores = self.judge.written_scores(samples)
        if scores:
            self.session.events.write("evaluation", step, split="samples", metrics=scores)
        if samples:
            self.session.events.write("samples", step, rows=told(samples))
        return scores

    def _save(self, *, best: bool) -> None:
        progress = self.session.progress
        path = self.checkpoints.save(self.network, self.materials.method, self.optimizer, progress, best=best)
        self.session.events.write("checkpoint", progress.step, path=path.name, best=best)


def build_optimizer(session: Session) -> Any:
    """The configured optimiser over the method's parameter groups."""
    training, network = session.materials.config.training, session.network
    options = training.optimizer
    groups = session.materials.method.parameter_groups(
        network, training.learning_rate, getattr(options, "weight_decay", 0.0)
    )
    layers = [f".{path}." for path in session.base.architecture.layers]
    inside = {id(each) for name, each in network.named_parameters() if any(path in f".{name}" for path in layers)}
    return registry.load("optimizer", options.name)(options).build(groups, inside)
