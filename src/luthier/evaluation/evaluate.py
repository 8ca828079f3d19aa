"""Asking models about rows and scoring what they say: a quick look during training, the whole comparison after it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from luthier import registry
from luthier.config import RunConfig
from luthier.data.examples import Labelled
from luthier.data.records import TokenSequence
from luthier.data.rendering import Renderer
from luthier.errors import ConfigError
from luthier.evaluation.baselines import BASELINES
from luthier.evaluation.comparison import compare
from luthier.evaluation.formatting import readable
from luthier.evaluation.metrics import applicable
from luthier.evaluation.metrics._free import written
from luthier.evaluation.results import Answers, assemble, validity
from luthier.evaluation.sections import compare_sections, section_scores
from luthier.evaluation.speed import measure_speed
from luthier.progress import Report
from luthier.tasks import Converses, Prediction, Task

if TYPE_CHECKING:
    from torch import nn


def _offered(task: Task, renderer: Renderer, rows: Sequence[TokenSequence]) -> tuple[str, ...]:
    return task.modes(renderer.labels, answers=any(row.label is not None for row in rows))


def _modes(config: RunConfig, task: Task, renderer: Renderer, rows: Sequence[TokenSequence]) -> tuple[str, ...]:
    """The task's ways of asking about such rows, or those of them that the configuration names.

    Raises:
        ConfigError: the task has no such way.
    """
    offered = _offered(task, renderer, rows)
    wanted = config.evaluation.modes or offered
    if unknown := [mode for mode in wanted if mode not in offered]:
        raise ConfigError(
            f"these rows cannot be asked about by '{unknown[0]}'",
            where="evaluation.modes",
            expected=f"some of {', '.join(offered)}",
        )
    return tuple(wanted)


@dataclass(frozen=True)
class Judge:
    """A fixed sample of validation rows, asked again and again while a model learns.

    Attributes:
        rows: the rows that are scored.
        shown: the rows whose written answers are scored and shown, as many labels among them as there are.
    """

    config: RunConfig
    task: Task
    renderer: Renderer
    rows: Sequence[TokenSequence]
    shown: Sequence[TokenSequence]

    @classmethod
    def for_training(
        cls, config: RunConfig, task: Task, renderer: Renderer, validation: Sequence[TokenSequence]
    ) -> Judge:
        """Chooses the sample by the split's seed, the same in every run over the same data."""
        limit = config.evaluation.limit or len(validation)
        chosen = np.random.default_rng(config.data.split.seed).permutation(len(validation))[:limit]
        rows = [validation[int(number)] for number in sorted(chosen)]
        return cls(config, task, renderer, rows, _by_turns(rows, config.evaluation.samples))

    def score(self, network: nn.Module) -> dict[str, float]:
        """Metrics of the sample, asked in the task's primary way, and those of the parts of written answers."""
        return self._scores(self._ask(network, self.rows, self.modes[0]))

    def score_names(self, network: nn.Module) -> list[str]:
        """The metrics that every evaluation will give, those of the shown answers included."""
        scores = self._scores(self._as_if_asked(network, self.rows, self.modes[0]))
        shown = self._as_if_asked(network, self.shown, self._showing) if self.shown else []
        return list(scores | self.written_scores(shown))

    def samples(self, network: nn.Module) -> list[Prediction]:
        """What the model says about the shown rows, in its own words where it has any."""
        return self._ask(network, self.shown, self._showing) if self.shown and self._showing != "likelihood" else []

    @property
    def _showing(self) -> str:
        """The way in which the shown rows are asked about."""
        task = self.task
        offered = task.replies() if isinstance(task, Converses) else _offered(task, self.renderer, self.shown)
        return "generate" if "generate" in offered else offered[0]

    def written_scores(self, samples: Sequence[Prediction]) -> dict[str, float]:
        """Metrics of written answers and of their parts; none of labels, which `score` asks about in more rows."""
        return self._scores(samples) if written(samples, self.renderer.labels) else {}

    def _scores(self, predictions: Sequence[Prediction]) -> dict[str, float]:
        settings, labels = self.config.evaluation, self.renderer.labels
        metrics = applicable(settings.metrics, predictions, labels)
        scores = {name: metric.value(predictions, labels) for name, metric in metrics.items()}
        if written(predictions, labels):
            scores |= section_scores(predictions, settings.sections, settings.metrics)
        return scores

    @property
    def modes(self) -> tuple[str, ...]:
        """The task's ways of asking about these rows."""
        return _modes(self.config, self.task, self.renderer, self.rows)

    def deciding(self, metric: str, names: Sequence[str], where: str) -> str:
        """A metric that training goes by, one of those that validation gives; auto = the first that can decide.

        Args:
            metric: as configured.
            names: from `score_names`.
            where: the key that names it.

        Raises:
            ConfigError: validation does not give it, or neither more nor less of it is better.
        """
        directed = [name for name in names if _higher_is_better(name) is not None]
        chosen = next(iter(directed), metric) if metric == "auto" else metric
        if chosen not in directed:
            raise ConfigError(
                f"'{chosen}' cannot be computed on these validation rows, asked by '{self.modes[0]}'"
                if chosen not in names
                else f"neither a higher nor a lower '{chosen}' is better",
                where=where,
                expected=f"auto, or one of {', '.join(directed)}",
            )
        return chosen

    def better(self, metric: str, value: float, than: float) -> bool:
        """Whether a score is better than another one."""
        return value > than if _higher_is_better(metric) else value < than

    def sampled(self, rows: Sequence[TokenSequence]) -> Judge:
        """The same judge over other rows."""
        return replace(self, rows=rows)

    def _ask(self, network: nn.Module, rows: Sequence[TokenSequence], mode: str) -> list[Prediction]:
        length = self.config.evaluation.generate.max_new_tokens
        return self.task.predict(network, self.renderer, rows, mode=mode, max_new_tokens=length)

    def _as_if_asked(self, network: nn.Module, rows: Sequence[TokenSequence], mode: str) -> list[Prediction]:
        """Answers with all that metrics ask for, but for what they say: one row with a right answer and one without
        are asked about, for one token, and stand for all.
        """
        asked = {row.label is None: row for row in rows}
        answers = self.task.predict(network, self.renderer, list(asked.values()), mode=mode, max_new_tokens=1)
        likely = dict(zip(asked, answers, strict=True))
        return [_about(row, likely[row.label is None], asked[row.label is None]) for row in rows]


def _higher_is_better(metric: str) -> bool | None:
    """Of a metric, or of PART/METRIC."""
    found: bool | None = registry.load("metric", metric.rpartition("/")[2]).higher_is_better
    return found


def _about(row: TokenSequence, answer: Prediction, asked: TokenSequence) -> Prediction:
    """An answer to one row as if it were one to another."""
    expected = row.label if answer.expected == asked.label else answer.expected  # of pairs it is not the label
    return replace(answer, row_id=row.row_id, text=row.text, expected=expected)


def told(samples: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Samples as an event tells them."""
    return [
        {
            "prompt": row.text,
            "expected": None if row.expected is None else readable(row.text, row.expected, row.form),
            "answer": readable(row.text, row.raw, row.form),
            "valid": valid,
        }
        for row, valid in zip(samples, validity(samples), strict=True)
    ]


def _by_turns(rows: Sequence[TokenSequence], count: int) -> list[TokenSequence]:
    """The first rows, taking the labels by turns."""
    groups: dict[str | None, list[TokenSequence]] = {}
    for row in rows:
        groups.setdefault(row.label, []).append(row)
    if len(groups) > count or len(groups) == len(rows):
        return list(rows[:count])
    turns = [group[turn] for turn in range(count) for group in groups.values() if turn < len(group)]
    return turns[:count]


@dataclass(frozen=True)
class Examiner:
    """Asks one model after another about the same rows, and puts their answers side by side.

    Attributes:
        rows: the rows of the split that decides.
        train: the training rows: what baselines learn from and few-shot prompts show.
    """

    config: RunConfig
    task: Task
    renderer: Renderer
    split: str
    rows: Sequence[TokenSequence]
    train: Sequence[TokenSequence]

    @property
    def modes(self) -> tuple[str, ...]:
        """The task's ways of asking about these rows."""
        return _modes(self.config, self.task, self.renderer, self.rows)

    def answers(
        self, model: str, network: nn.Module, progress: Report | None = None, *, renderer: Renderer | None = None
    ) -> list[Answers]:
        """What a model says about every row, in every way of asking."""
        asking = renderer or self.renderer
        rows = self._with_shots(asking) if renderer else self.rows
        found = []
        for mode in self.modes:
            done = Counter(f"{model} ({mode})", len(rows), progress)
            started = time.perf_counter()
            predictions = self.task.predict(
                network,
                asking,
                rows,
                mode=mode,
                max_new_tokens=self.config.evaluation.generate.max_new_tokens,
                progress=done,
            )
            found.append(Answers(model, self.split, mode, predictions, time.perf_counter() - started))
        return found

    def speed(self, network: nn.Module) -> dict[str, Any] | None:
        """How quickly a model writes its answers; None where it writes none."""
        if "generate" not in self.modes:
            return None
        length = self.config.evaluation.generate.max_new_tokens
        return measure_speed(self.task, network, self.renderer, self.rows, length)

    def sampled(self, rows: Sequence[TokenSequence]) -> Examiner:
        """The same examiner over other rows."""
        return replace(self, rows=rows)

    def few_shot_renderer(self) -> Renderer | None:
        """A renderer that shows examples first; None when the task, the data or the configuration has none."""
        labels, count = self.renderer.labels, self.config.evaluation.few_shot
        if not (self.task.shots and labels and count and len(self.train)):
            return None
        order = np.random.default_rng(self.config.data.split.seed).permutation(len(self.train))[:2000]
        shots = _by_turns([self.train[int(number)] for number in order], count)
        return self.renderer.with_shots([Labelled(row.text, row.label or "") for row in shots])

    def _with_shots(self, renderer: Renderer) -> list[TokenSequence]:
        pairs = [(row.row_id, Labelled(row.text, row.label or renderer.labels[0])) for row in self.rows]
        encoded = self.task.encode(pairs, renderer)
        return [row[0] if isinstance(row, list) else plain for row, plain in zip(encoded, self.rows, strict=True)]

    def baselines(self) -> list[Answers]:
        """The simple ways of answering of the task, or else of the metrics asked for, where all rows have an answer."""
        if not (
            self.config.evaluation.baselines and len(self.rows) and all(row.label is not None for row in self.rows)
        ):
            return []
        texts = [row.text for row in self.train]
        labels = [row.label or "" for row in self.train]
        names = self.task.baselines(self.renderer.labels) or self._beside_metrics()
        return [Answers(name, self.split, self.modes[0], BASELINES[name](texts, labels, self.rows)) for name in names]

    def _beside_metrics(self) -> list[str]:
        """What the metrics of such answers are compared with."""
        right = [Prediction(row.row_id, row.text, row.label, row.label or "", row.label) for row in self.rows]
        metrics = applicable(self.config.evaluation.metrics, right, self.renderer.labels)
        return list(dict.fromkeys(name for metric in metrics.values() for name in metric.baselines))

    def compare(self, answers: Sequence[Answers]) -> dict[str, Any]:
        """The content of metrics.json. Baselines without a way of asking stand beside every one."""
        by_mode = {(group.model, group.mode): group.predictions for group in answers}
        beside = {group.model for group in answers} - {"base", "tuned"}
        settings, labels, seed = self.config.evaluation, self.renderer.labels, self.config.training.seed
        comparisons = {}
        for mode in self.modes:
            base, tuned = by_mode.get(("base", mode)), by_mode["tuned", mode]
            others = {
                name: by_mode.get((name, mode), by_mode.get((name, self.modes[0]), [])) for name in sorted(beside)
            }
            comparisons[mode] = compare(base, tuned, others, settings.metrics, labels, seed)
            if settings.sections and written(tuned, labels):
                parts = compare_sections(base, tuned, settings.sections, settings.metrics, seed)
                comparisons[mode]["sections"] = parts
        return assemble({self.split: comparisons}, self.split, self.modes[0])


class Counter:
    """Turns "so many more" into "so many of all"."""

    def __init__(self, phase: str, total: int, progress: Report | None) -> None:
        self.phase, self.total, self.progress, self.done = phase, total, progress, 0

    def __call__(self, more: int) -> None:
        """So many more are done."""
        self.done += more
        if self.progress:
            self.progress(self.phase, self.done, self.total)
