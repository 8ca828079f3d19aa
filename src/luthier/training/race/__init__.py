"""`luthier race`: the user's own rows and model on Luthier and on the stock Trainer of `transformers` with `peft`.

Contestants take turns, each turn in a process of its own: memory and threads of one never help or hinder the other.
Both begin with the same base and the same first adapter, and take the same rows in the same order with the same
optimiser and learning rates, so their losses at equal steps should agree.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from luthier import registry
from luthier.config import RunConfig
from luthier.config.writing import to_yaml
from luthier.errors import ConfigError, TrainingError
from luthier.methods._common import TrainedInPlace
from luthier.progress import Report
from luthier.runs.files import read_json, write_json
from luthier.tasks import form_of
from luthier.training.schedules import FollowsScores
from luthier.training.session import Materials

ROUNDS = 2
"""Turns of each contestant: a machine that is busy for a while hinders both."""

TASKS = ("causal_lm", "sequence_classification")
"""Tasks whose loss the stock models compute themselves from labels."""

IN_THE_LOOP = ("penalty", "on_step")
"""What a method may add to every step of Luthier's loop."""

NAMES = {"luthier": "Luthier", "trainer": "transformers Trainer with peft"}


@dataclass(frozen=True)
class Turn:
    """What a contestant did in one turn, as its process reports it.

    Attributes:
        contestant: luthier or trainer.
        about: how it computes, in words.
        losses: mean loss of every step.
        seconds: wall time of every step, with its share of what was computed once for the whole run.
        rows: rows of every step.
        tokens: real tokens of every step.
        loading_seconds: until the first step could begin.
        peak_memory_mb: the most memory of the process (of the GPU, where one computes), loading included.
        dropout: whether chance has a part in the losses.
    """

    contestant: str
    about: list[str]
    losses: list[float]
    seconds: list[float]
    rows: list[int]
    tokens: list[int]
    loading_seconds: float
    peak_memory_mb: float
    dropout: bool


@dataclass(frozen=True)
class Result:
    """A contestant's turns together. Speed leaves out each turn's first step, which warms up."""

    name: str
    about: list[str]
    steps: int
    seconds: float
    rows_per_second: float
    tokens_per_second: float
    peak_memory_mb: float
    loading_seconds: float


@dataclass(frozen=True)
class Race:
    """How it ended.

    Attributes:
        seconds: training time of each contestant that was asked for.
        luthier: Luthier's result.
        trainer: the stock Trainer's.
        speed_ratio: Luthier's rows per second over the Trainer's.
        memory_ratio: Luthier's peak memory over the Trainer's.
        losses: at equal steps, {step, luthier, trainer}.
        largest_difference: between these losses, absolute.
        settings: what both have in common, in words.
    """

    name: str
    seconds: float
    luthier: Result
    trainer: Result
    speed_ratio: float
    memory_ratio: float
    losses: list[dict[str, float]]
    largest_difference: float
    settings: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The race as plain values."""
        return asdict(self)


def run_race(materials: Materials, seconds: float, report: Report | None = None) -> Race:
    """Lets both train for so many seconds each, in turns; loading is not counted.

    Args:
        materials: from `Materials.gather`, so that the rows are prepared for both.
        seconds: training time of each contestant.
        report: told (phase, done, total).

    Raises:
        ConfigError: the stock Trainer cannot train this method or task.
        TrainingError: a contestant failed.
    """
    check(materials)
    order = [contestant for _ in range(ROUNDS) for contestant in NAMES]
    turns = []
    with tempfile.TemporaryDirectory(prefix="luthier-race-") as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(to_yaml(undisturbed(materials.config), comments=False), encoding="utf-8")
        for done, contestant in enumerate(order):
            if report:
                report("racing", done, len(order))
            job = {"contestant": contestant, "config": str(file), "seconds": seconds / ROUNDS}
            turns.append(_turn(job, Path(folder) / str(done)))
    if report:
        report("racing", len(order), len(order))
    return judge(materials.config, seconds, turns)


def check(materials: Materials) -> None:
    """Raises ConfigError where there is nothing to race against."""
    config = materials.config
    if config.task.name not in TASKS or form_of(materials.task) != "plain":
        raise ConfigError(
            f"task {config.task.name} cannot race: the stock models do not compute its loss from labels",
            where="task",
            expected=" or ".join(TASKS),
        )
    if not hasattr(materials.method, "peft_config"):
        raise ConfigError(
            f"method {config.method.name} cannot race: the other contestant trains adapters of peft",
            where="method",
            hint="--set method=lora",
        )
    if any(getattr(type(materials.method), part) is not getattr(TrainedInPlace, part) for part in IN_THE_LOOP):
        raise ConfigError(
            f"method {config.method.name} cannot race: it has a part in the loop, which the stock Trainer leaves out",
            where="method",
            hint="--set method=lora",
        )
    schedule = config.training.schedule
    if isinstance(registry.load("schedule", schedule.name)(schedule), FollowsScores):
        raise ConfigError(
            f"schedule {schedule.name} cannot race: it goes by validation scores, and nothing is evaluated in a race",
            where="training.schedule",
            hint="--set training.schedule=constant",
        )


def undisturbed(config: RunConfig) -> RunConfig:
    """The run without evaluations and checkpoints."""
    training = config.training.model_copy(
        update={
            "checkpoint": config.training.checkpoint.model_copy(update={"every": None}),
            "early_stopping": None,
        }
    )
    evaluation = config.evaluation.model_copy(update={"every": None, "samples": 0})
    return config.model_copy(update={"training": training, "evaluation": evaluation})


def _turn(job: dict[str, Any], folder: Path) -> Turn:
    """One contestant's turn, in a fresh process."""
    folder.mkdir()
    write_json(folder / "job.json", job)
    command = [sys.executable, "-m", "luthier.training.race.worker", str(folder / "job.json")]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    result = folder / "result.json"
    if done.returncode or not result.exists():
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise TrainingError(f"{NAMES[job['contestant']]} failed: {lines[-1].strip()}", where="\n".join(lines[-4:-1]))
    return Turn(**read_json(result))


def judge(config: RunConfig, seconds: float, turns: list[Turn]) -> Race:
    """Puts the turns together."""
    luthier, trainer = (_together(name, [t for t in turns if t.contestant == name]) for name in NAMES)
    losses = _equal_steps(turns)
    return Race(
        name=config.name,
        seconds=seconds,
        luthier=luthier,
        trainer=trainer,
        speed_ratio=round(luthier.rows_per_second / trainer.rows_per_second, 2),
        memory_ratio=round(luthier.peak_memory_mb / trainer.peak_memory_mb, 2),
        losses=losses,
        largest_difference=max((abs(at["luthier"] - at["trainer"]) for at in losses), default=0.0),
        settings=_settings(config, dropout=any(turn.dropout for turn in turns)),
    )


def _together(contestant: str, turns: list[Turn]) -> Result:
    """A contestant's turns as one result."""
    counted = [(turn, slice(1 if len(turn.seconds) > 1 else 0, None)) for turn in turns]
    spent = sum(sum(turn.seconds[part]) for turn, part in counted)
    return Result(
        name=NAMES[contestant],
        about=turns[0].about,
        steps=sum(len(turn.losses) for turn in turns),
        seconds=round(sum(sum(turn.seconds) for turn in turns), 1),
        rows_per_second=round(sum(sum(turn.rows[part]) for turn, part in counted) / spent, 2),
        tokens_per_second=round(sum(sum(turn.tokens[part]) for turn, part in counted) / spent, 1),
        peak_memory_mb=round(max(turn.peak_memory_mb for turn in turns), 1),
        loading_seconds=round(sum(turn.loading_seconds for turn in turns) / len(turns), 1),
    )


def _equal_steps(turns: list[Turn]) -> list[dict[str, float]]:
    """Losses of the steps that both did; every turn begins at the first one."""
    longest = {name: max((t.losses for t in turns if t.contestant == name), key=len) for name in NAMES}
    pairs = zip(*longest.values(), strict=False)
    return [{"step": step, "luthier": one, "trainer": other} for step, (one, other) in enumerate(pairs, start=1)]


def _settings(config: RunConfig, *, dropout: bool) -> list[str]:
    training = config.training
    rows = "packs of rows" if config.data.pack else "rows"
    chance = ["there is dropout, which draws by chance: losses agree on the whole only"] if dropout else []
    return [
        f"both: {config.method.name} by peft with the same first weights, {training.batch_size} {rows} a step in the "
        f"same order, {training.optimizer.name} with peak learning rate {training.learning_rate:g}, "
        f"{training.schedule.name} schedule, the same number type; no evaluation, no checkpoints",
        f"{ROUNDS} turns each, in alternation, every turn in a process of its own; not counted: loading, and the first "
        "step of a turn; what an engine computes once for the whole run is charged to all its steps alike",
        "tokens are real ones, without padding; memory is the peak of the process, loading included",
        *chance,
    ]
