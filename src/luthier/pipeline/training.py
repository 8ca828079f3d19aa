"""Training: one run, one for each method, one for each window of time."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.config import RunConfig, load_config
from luthier.config.writing import to_yaml
from luthier.errors import ConfigError, Interrupted, LuthierError, TrainingError
from luthier.methods import Reports
from luthier.models.hardware import peak_memory_mb
from luthier.pipeline.evaluating import evaluate, predict
from luthier.pipeline.handing_on import export, report
from luthier.pipeline.opening import Config, open_run, read_config
from luthier.progress import Report
from luthier.recipes import recipe
from luthier.runs import Run
from luthier.runs.files import write_json
from luthier.tasks import Prediction
from luthier.tracking import make_tracker
from luthier.tracking.following import Listener, following
from luthier.training.checkpoints import writing
from luthier.training.loop import Trainer
from luthier.training.record import describe, passport
from luthier.training.session import Materials, Session

if TYPE_CHECKING:
    from luthier.export import Exported
    from luthier.reporting.walk_forward import WalkForward


@dataclass(frozen=True)
class TrainedRun(Run):
    """A run with its verbs, as `train` returns it."""

    def evaluate(self, *, split: str = "test") -> dict[str, Any]:
        """Scores the run again; see `evaluate`."""
        return evaluate(self, split=split)

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        """Answers to new texts; see `predict`."""
        return predict(self, inputs)

    def export(self, target: str, output: str | Path | None = None) -> Exported:
        """Writes an artefact; see `export`."""
        return export(self, target, output)


def train(
    config: Config | None = None,
    overrides: Sequence[str] = (),
    *,
    resume: Run | str | Path | None = None,
    listeners: Sequence[Listener] = (),
    progress: Report | None = None,
) -> TrainedRun:
    """Trains, evaluates beside the base and writes the report.

    Args:
        config: the configuration of a new run.
        overrides: `key.path=value`, applied to a configuration file.
        resume: a run's folder to go on with instead, as it was configured.
        listeners: told every event as it is written to events.jsonl.
        progress: told (phase, done, total) outside training.

    Raises:
        ConfigError: the run to resume was begun with another base or other rows, or there are overrides for it.
        Interrupted: stopped by the user; the run can be resumed.
        LuthierError: any other reason, recorded in run.json.
    """
    started = time.time()
    if resume is not None and config is None:
        run = open_run(resume)
        if overrides:
            raise ConfigError(
                "overrides change a new run, and this one goes on with the configuration it was begun with",
                where=f"--set {overrides[0]}",
                hint=f"luthier train {run.config_file} --set {overrides[0]}",
            )
        trackers = [make_tracker(options) for options in run.config.tracking]
        materials = Materials.of(run, progress)
    elif config is not None and resume is None:
        settings = read_config(config, overrides)
        trackers = [make_tracker(options) for options in settings.tracking]
        materials = Materials.gather(settings, progress)  # problems show before a folder is made
        run = Run.create(settings, to_yaml(settings))
    else:
        raise ConfigError("train takes a configuration, or a run to resume", hint="luthier train run.yaml")
    with following(run, trackers, listeners) as told, _recorded(run, started, told):
        _fit(run, materials, told)
        evaluate(run, progress=progress)
    report(run)
    return TrainedRun(run.path)


def _fit(run: Run, materials: Materials, listeners: Sequence[Listener]) -> None:
    """Trains from the newest checkpoint, or from the start, and saves the artefact."""
    shutil.copyfile(materials.prepared.ledger, run.ledger_file)
    shutil.copyfile(materials.prepared.cleaning, run.cleaning_file)
    session = Session.start(materials, run, materials.load_base())
    session.events.listeners += listeners
    run.update_record(**describe(session))
    trainer = Trainer(session)
    trainer.resume()
    trainer.fit()
    with writing("the adapter", run.path, run.adapter):
        materials.method.save(session.network, run.adapter, session.base)
    if isinstance(materials.method, Reports):
        run.update_record(method_report=materials.method.report(session.network))
    write_json(run.adapter / "luthier.json", passport(materials))
    run.update_record(
        training_seconds=round(session.progress.seconds, 1),
        training_peak_mb=max(run.record.get("training_peak_mb", 0.0), peak_memory_mb()),
    )


@contextmanager
def _recorded(run: Run, started: float, listeners: Sequence[Listener]) -> Iterator[None]:
    """Keeps run.json's state true, whatever happens inside."""
    before = run.record.get("seconds", 0.0)
    run.update_record(state="running", started=run.record.get("started", started))
    state, message = "failed", ""
    try:
        yield
        state = "finished"
    except (Interrupted, KeyboardInterrupt):
        state = "interrupted"
        raise
    except LuthierError as error:
        message = str(error)
        raise
    finally:
        now = time.time()
        # What stopped the run is told, not that a full disk keeps it from being written down.
        with nullcontext() if state == "finished" else suppress(OSError):
            run.update_record(
                state=state,
                finished=now,
                seconds=round(before + now - started, 1),
                peak_memory_mb=max(run.record.get("peak_memory_mb", 0.0), peak_memory_mb()),
            )
            log = run.events
            log.listeners += listeners
            log.write("state", _last_step(run), state=state, message=message)


def _last_step(run: Run) -> int:
    from luthier.runs import read_events

    return max((event["step"] for event in read_events(run.events.path)), default=0)


def train_methods(
    config: Config,
    methods: str,
    overrides: Sequence[str] = (),
    *,
    quiet: bool = True,
    progress: Report | None = None,
) -> tuple[list[Run], list[str]]:
    """Trains one configuration with one method after another, each in a process of its own; finished ones are kept.

    A method that does not fit the network, or whose training fails, does not keep the others from being trained.

    Args:
        config: the configuration.
        methods: such as `lora,lora{rank: 4},full`; see `luthier.training.variants.parse_methods`.
        overrides: `key.path=value`.
        quiet: keeps the progress of each training to itself.
        progress: told (phase, done, total).

    Returns:
        (the runs, why some methods have none: a sentence each)

    Raises:
        ConfigError: there is no such method, or its options are wrong.
        TrainingError: none of them could be trained.
    """
    from luthier.training.variants import parse_methods, train_apart, variants

    settings, wanted = read_config(config, overrides), parse_methods(methods)
    chosen, refused = variants(Materials.gather(settings, progress), wanted)
    found = []
    for done, each in enumerate(chosen):
        if progress:
            progress(f"training {each.name}", done, len(chosen))
        try:
            found.append(train_apart(each, quiet=quiet))
        except TrainingError as error:
            refused.append(error.found)
    if not found:
        raise TrainingError("; ".join(refused))
    return found, refused


def walk_forward(
    config: Config, overrides: Sequence[str] = (), *, quiet: bool = True, progress: Report | None = None
) -> WalkForward:
    """Trains one run for each window of `data.split.windows` and scores all their answers together.

    Every run is an ordinary one in a folder of its own; finished ones are kept, interrupted ones go on.

    Raises:
        ConfigError: the configuration has no windows.
        DataError: a window has no row to train on or to test.
        TrainingError: one of them could not be trained.
    """
    from luthier.reporting.walk_forward import walk_forward as scored
    from luthier.training.variants import train_apart
    from luthier.training.walk_forward import window_config, windows

    settings = read_config(config, overrides)
    found = windows(settings, progress)
    runs = []
    for done, window in enumerate(found):
        if progress:
            progress(f"window {window.number}: {window.test_from} to {window.until}", done, len(found))
        runs.append(train_apart(window_config(settings, window), quiet=quiet))
    return scored(found, runs)


def demo(overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration of `luthier demo`."""
    return load_config(recipe("demo").path, overrides)
