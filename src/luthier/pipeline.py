"""The public Python API: prepare, plan, train, evaluate, predict, inspect, export, report.

Every function takes a configuration (a path, or a `RunConfig`) or a run (a path, or a `Run`) and raises subclasses of
`LuthierError` with messages for people. The command line calls nothing else.
"""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.config import RunConfig, SourceConfig, load_config, parse_source
from luthier.config.schema import json_schema
from luthier.config.writing import to_yaml
from luthier.data.differences import Differences
from luthier.data.inspection import Inspection, inspect_row
from luthier.data.join_plan import JoinPlan, plan_join
from luthier.data.joining import Joined
from luthier.data.ledger import places
from luthier.data.prepare import Prepared
from luthier.data.profile import Profile
from luthier.data.tokenising import LEDGER
from luthier.data.writing import ABOUT, write_preparation
from luthier.doctor import examine as doctor
from luthier.drafting import draft as new
from luthier.errors import ConfigError, DataError, Interrupted, LuthierError
from luthier.evaluation.evaluate import Examiner
from luthier.evaluation.forgetting import GeneralText
from luthier.evaluation.results import asking_times, write_predictions
from luthier.evaluation.speaker import Speaker, open_speaker
from luthier.methods import Reports
from luthier.models.hardware import peak_memory_mb
from luthier.recipes import Recipe, recipe, recipes
from luthier.runs import Run
from luthier.runs.files import write_json
from luthier.tasks import Prediction
from luthier.tracking import make_tracker
from luthier.tracking.following import Listener, following
from luthier.training.devices import find_device
from luthier.training.forecast import Forecast, make_forecast
from luthier.training.loop import Trainer
from luthier.training.planning import Plan, make_plan
from luthier.training.race import Race, run_race
from luthier.training.record import describe, passport
from luthier.training.session import Materials, Report, Session

if TYPE_CHECKING:
    from luthier.data.exchange import Exchange
    from luthier.data.generation import Budget, Generated, Wishes
    from luthier.diagnosis import Diagnosis
    from luthier.endpoint import Endpoint
    from luthier.evaluation.fingpt import Parsing, Prompts
    from luthier.evaluation.harness import Scores
    from luthier.export import Exported
    from luthier.importing import Imported
    from luthier.reporting.comparison_table import Comparison
    from luthier.reporting.walk_forward import WalkForward

__all__ = [
    "Forecast",
    "Plan",
    "Preparation",
    "Race",
    "Recipe",
    "Speaker",
    "TrainedRun",
    "benchmark_fingpt",
    "compare",
    "convert",
    "demo",
    "diagnose",
    "diff",
    "doctor",
    "evaluate",
    "export",
    "forecast",
    "generate",
    "harness",
    "import_config",
    "inspect",
    "join",
    "judge",
    "merge",
    "new",
    "plan",
    "plan_join",
    "predict",
    "prepare",
    "profile",
    "race",
    "recipe",
    "recipes",
    "report",
    "schema",
    "speaker",
    "track",
    "train",
    "train_methods",
    "walk_forward",
    "write_prepared",
]

Config = str | Path | RunConfig


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


def read_config(config: Config, overrides: Sequence[str] = ()) -> RunConfig:
    """A configuration from a file, or as it is given."""
    return config if isinstance(config, RunConfig) else load_config(config, overrides)


def prepare(config: Config, overrides: Sequence[str] = (), *, progress: Report | None = None) -> Prepared:
    """Reads, cleans, splits and tokenises the rows; the second time it takes them from the cache.

    Raises:
        DataError: too many rows are unreadable, or none is left to train on.
    """
    return Materials.gather(read_config(config, overrides), progress).prepared


@dataclass(frozen=True)
class Preparation:
    """Prepared rows in a folder of the user's own.

    Attributes:
        folder: SPLIT.jsonl, ledger.parquet, prepared.json, config.yaml.
        prepared: the same rows as tokens, in the cache.
        rows: rows by split; a document that was split into pieces is one.
        places: reason or change, with its numbers left out -> the first rows it was given for.
        seconds: what it took.
        peak_memory_mb: the most memory that this process has held.
    """

    folder: Path
    prepared: Prepared
    rows: dict[str, int]
    places: dict[str, list[str]]
    seconds: float
    peak_memory_mb: float


def write_prepared(
    config: Config, folder: str | Path | None = None, overrides: Sequence[str] = (), *, progress: Report | None = None
) -> Preparation:
    """Prepares the rows and writes them to a folder as people read them; no weight is loaded.

    Args:
        config: the configuration.
        folder: where to; None = prepared/NAME.
        overrides: `key.path=value`.
        progress: told (phase, done, total).

    Raises:
        ConfigError: the folder holds something else.
        DataError: too many rows are unreadable, or none is left to train on.
    """
    started = time.perf_counter()
    settings = read_config(config, overrides)
    prepared = prepare(settings, progress=progress)
    target = Path(folder) if folder is not None else Path("prepared") / settings.name
    rows = write_preparation(prepared, to_yaml(settings), target)
    seconds = round(time.perf_counter() - started, 1)
    return Preparation(target, prepared, rows, places(prepared.ledger), seconds, peak_memory_mb())


def profile(paths: Sequence[str], *, base: str | None = None, progress: Report | None = None) -> list[Profile]:
    """What can be seen in files and folders of rows, each read once.

    Args:
        paths: files and folders.
        base: a base model whose tokenizer counts tokens; its weights are not loaded.
        progress: told (phase, done, total).

    Raises:
        DataError: there is nothing to read at a path.
    """
    from luthier.data.profile import profile as look
    from luthier.models.files import resolve
    from luthier.models.loading import load_tokenizer

    tokenizer = load_tokenizer(resolve(base)) if base else None
    return [look(path, tokenizer, progress) for path in paths]


def diff(
    first: str | Path, second: str | Path, *, everything: str | Path | None = None, progress: Report | None = None
) -> Differences:
    """Which rows changed fate, split or text between two preparations.

    Args:
        first: a folder of `write_prepared`, a run, or a configuration, which is prepared if it has not been yet.
        second: likewise.
        everything: a file for all changes, a line of JSON each.
        progress: told (phase, done, total).

    Raises:
        ConfigError: there is no preparation.
    """
    from luthier.data.differences import differences

    one, two = (_ledger_of(Path(each), progress) for each in (first, second))
    return differences(one, two, Path(everything) if everything else None)


def _ledger_of(path: Path, progress: Report | None) -> Path:
    """The ledger of a preparation, a run or a configuration."""
    if (path / ABOUT).is_file():
        return path / LEDGER
    return prepare(path, progress=progress).ledger if path.is_file() else Run.open(path).ledger_file


def join(news: str, prices: str, output: str | Path, plan: JoinPlan, *, progress: Report | None = None) -> Joined:
    """Joins news to the prices that were known when they were told, and writes the rows with what was left out.

    Raises:
        DataError: there is nothing to read, or the columns are not there.
    """
    from luthier.config import SourceConfig
    from luthier.data.joining import join as join_rows

    sources = SourceConfig(path=news), SourceConfig(path=prices)
    return join_rows(*sources, Path(output), plan, progress or (lambda phase, done, total: None))


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


def plan(config: Config, overrides: Sequence[str] = (), *, progress: Report | None = None) -> Plan:
    """What a run will do: rows, tokens, parameters, memory and time measured on a few real steps, warnings."""
    started = time.perf_counter()
    materials = Materials.gather(read_config(config, overrides), progress)
    return make_plan(materials, time.perf_counter() - started, progress)


def forecast(config: Config, device: str, overrides: Sequence[str] = (), *, progress: Report | None = None) -> Forecast:
    """Whether a run fits another device and how long it takes there: estimated from published facts, not measured.

    Args:
        config: the configuration.
        device: its name in `luthier.training.devices`, such as rtx4090 or cpu-16.
        overrides: `key.path=value`.
        progress: told (phase, done, total) while the data is prepared.

    Raises:
        ConfigError: nothing is known of that device.
    """
    known = find_device(device)  # before the data is prepared
    return make_forecast(Materials.gather(read_config(config, overrides), progress), known)


def race(config: Config, overrides: Sequence[str] = (), *, seconds: float = 60, progress: Report | None = None) -> Race:
    """The run's own rows and model on Luthier and on the stock Trainer of `transformers` with `peft`, in turns.

    Args:
        config: the configuration.
        overrides: `key.path=value`.
        seconds: training time of each; loading is not counted.
        progress: told (phase, done, total).

    Raises:
        ConfigError: the stock Trainer cannot train this method or task.
    """
    return run_race(Materials.gather(read_config(config, overrides), progress), seconds, progress)


def inspect(
    config: Config, overrides: Sequence[str] = (), *, row: int | None = None, serve_check: bool = False
) -> Inspection:
    """The exact tokens of one row, what is learned of them, and its line in the ledger.

    Raises:
        DataError: there is no such row.
    """
    settings = read_config(config, overrides)
    materials = Materials.gather(settings)
    return inspect_row(settings, materials.task, materials.prepared, materials.renderer, row, serve=serve_check)


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
        resume: a run's folder to go on with instead.
        listeners: told every event as it is written to events.jsonl.
        progress: told (phase, done, total) outside training.

    Raises:
        Interrupted: stopped by the user; the run can be resumed.
        LuthierError: any other reason, recorded in run.json.
    """
    started = time.time()
    if resume is not None and config is None:
        run = _opened(resume)
        trackers = [make_tracker(options) for options in run.config.tracking]
        materials = Materials.gather(run.config, progress)
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


def evaluate(run: Run | str | Path, *, split: str = "test", progress: Report | None = None) -> dict[str, Any]:
    """Asks the base and the saved artefact about the same rows, scores them beside the baselines, and writes
    evaluation/metrics.json and predictions.jsonl.

    Args:
        run: the run.
        split: test, validation or train; without test rows, validation is taken.
        progress: told (phase, done, total).

    Returns:
        The content of metrics.json.
    """
    run = _opened(run)
    gc.collect()  # the trained network, if it was in this process
    materials = Materials.gather(run.config, progress)
    prepared = materials.prepared
    if split == "test" and not len(prepared.test):
        split = "validation"
    rows = getattr(prepared, split)
    if not len(rows):
        raise DataError(f"there are no rows to evaluate on in '{split}'", hint="set data.split.test or data.test")
    examiner = Examiner(materials.config, materials.task, materials.renderer, split, rows, prepared.train)
    general = GeneralText.of(materials.config, materials.task, materials.renderer)
    base = materials.load_base()
    before = general.ask(base.network) if general else []
    answers = []
    if materials.task.base_answers:
        answers += examiner.answers("base", base.network, progress)
        shown = examiner.few_shot_renderer()
        answers += examiner.answers("few_shot", base.network, progress, renderer=shown) if shown else []
    tuned = materials.method.open(base, run.adapter)
    answers += examiner.answers("tuned", tuned, progress)
    answers += examiner.baselines()
    metrics = examiner.compare(answers)
    if general:
        metrics["forgetting"] = general.compare(before, general.ask(tuned))
    write_json(run.metrics_file, metrics)
    write_predictions(run.predictions_file, answers)
    run.update_record(asking=asking_times(answers), speed=examiner.speed(tuned))
    return metrics


def harness(run: Run | str | Path, tasks: Sequence[str], *, limit: int | None = None) -> Scores:
    """The tasks of `lm-eval`, asked of a run's base and its tuned model; written to evaluation/harness.json.

    Args:
        run: the run.
        tasks: names that `lm-eval` knows, or YAML files of tasks.
        limit: at most so many rows of a task.

    Raises:
        ConfigError: `lm-eval` is not installed, or the model does not write.
    """
    from luthier.evaluation.harness import run_harness

    opened = _opened(run)
    found = run_harness(opened, tasks, limit)
    write_json(opened.evaluation / "harness.json", found)
    return found


def judge(
    run: Run | str | Path,
    other: Run | str | Path | None = None,
    *,
    endpoint: str,
    model: str,
    question: str | None = None,
    limit: int | None = None,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Which of two runs answers better, as a language model sees it; written to evaluation/judge.json of the first.

    Args:
        run: the first run.
        other: the second one; None = the base of the first.
        endpoint: what stands before `/chat/completions`; the key comes from the environment.
        model: the judge's name there.
        question: what it is asked about two answers.
        limit: at most so many rows.
        progress: told (phase, done, total).

    Raises:
        ConfigError: the two did not answer the same requests.
        LuthierError: the endpoint does not answer; what was judged is kept, and not asked again.
    """
    from luthier.endpoint import Endpoint
    from luthier.evaluation.judging import QUESTION, judge_pairs, pairs

    first, second = _opened(run), _opened(other) if other is not None else None
    asked = question or QUESTION
    log = first.evaluation / "judge.jsonl"
    counts = judge_pairs(Endpoint(endpoint, model), pairs(first, second, limit), log, question=asked, progress=progress)
    against = str(second.path) if second else "base"
    result = {"run": str(first.path), "against": against, "judge": model, "question": asked, **counts}
    write_json(first.evaluation / "judge.json", result)
    return result


def benchmark_fingpt(
    run: Run | str | Path,
    files: Mapping[str, Sequence[str]],
    *,
    prompts: Prompts = "fingpt",
    parsing: Parsing = "fingpt",
    as_given: bool = False,
    base: bool = False,
    progress: Report | None = None,
) -> dict[str, Any]:
    """FinGPT's benchmark of financial sentiment, written to evaluation/fingpt.json and fingpt.jsonl (every answer).

    Args:
        run: the run.
        files: the published files of fpb, fiqa, tfns and nwgi; some of them will do.
        prompts: FinGPT's, or those that the run was trained with.
        parsing: FinGPT's way of reading answers, or Luthier's, where an answer without a label is wrong.
        as_given: asks about all rows of the files, not only about those that FinGPT tests on.
        base: asks the untuned base too.
        progress: told (phase, done, total).

    Returns:
        prompts, parsing, parameters of the model, and under `sets` a comparison for each set, see
        `luthier.evaluation.fingpt.score`.
    """
    from luthier.evaluation.fingpt import run_benchmark

    opened = _opened(run)
    found, answers = run_benchmark(
        opened, files, prompts=prompts, parsing=parsing, as_given=as_given, base=base, progress=progress
    )
    write_json(opened.evaluation / "fingpt.json", found)
    write_predictions(opened.evaluation / "fingpt.jsonl", answers)
    return found


def speaker(run: Run | str | Path, *, base: bool = False) -> Speaker:
    """A run's tuned model, or its untuned base, ready to answer many times."""
    return open_speaker(_opened(run), base=base)


def predict(
    run: Run | str | Path, inputs: Sequence[str], *, mode: str | None = None, base: bool = False
) -> list[Prediction]:
    """Answers of a run's tuned model (or of its base) to new texts."""
    return speaker(run, base=base).predict(inputs, mode=mode)


def compare(
    runs: Sequence[Run | str | Path], *, latency: int | None = None, progress: Report | None = None
) -> Comparison:
    """Finished runs side by side: scores with paired differences to the first, and what each took.

    Args:
        runs: the runs, the one that others are compared with first.
        latency: asks so many test rows now: base, unmerged and merged model by turns; kept in run.json.
        progress: told (phase, done, total).

    Raises:
        ConfigError: a run is not finished.
    """
    from luthier.evaluation.latency import asked_texts, measure_latency
    from luthier.reporting.comparison_table import Comparison
    from luthier.reporting.side_by_side import read_runs

    opened = [_opened(run) for run in runs]
    read_runs(opened)  # problems show before anything is measured
    for done, run in enumerate(opened if latency else []):
        if progress:
            progress("measuring latency", done, len(opened))
        run.update_record(latency=measure_latency(run, asked_texts(run, latency or 1)))
    return Comparison.of(read_runs(opened))


def train_methods(
    config: Config,
    methods: str,
    overrides: Sequence[str] = (),
    *,
    quiet: bool = True,
    progress: Report | None = None,
) -> list[Run]:
    """Trains one configuration with one method after another, each in a process of its own; finished ones are kept.

    Args:
        config: the configuration.
        methods: such as `lora,lora{rank: 4},full`; see `luthier.training.variants.parse_methods`.
        overrides: `key.path=value`.
        quiet: keeps the progress of each training to itself.
        progress: told (phase, done, total).

    Raises:
        ConfigError: there is no such method, or its options are wrong.
        TrainingError: one of them could not be trained.
    """
    from luthier.training.variants import parse_methods, train_apart, variants

    settings, wanted = read_config(config, overrides), parse_methods(methods)
    chosen = variants(Materials.gather(settings, progress), wanted)
    found = []
    for done, each in enumerate(chosen):
        if progress:
            progress(f"training {each.name}", done, len(chosen))
        found.append(train_apart(each, quiet=quiet))
    return found


def diagnose(run: Run | str | Path) -> Diagnosis:
    """What is wrong with a run and what to change; written to diagnosis.json, and the report with it."""
    from luthier.diagnosis import diagnose as look
    from luthier.diagnosis import write_diagnosis

    opened = _opened(run)
    found = look(opened)
    write_diagnosis(opened, found)
    report(opened)
    return found


def convert(source: str | SourceConfig, to: str, output: str | Path, *, progress: Report | None = None) -> Exchange:
    """Rows in another format, as JSON Lines; what the format has no room for is refused and counted.

    Args:
        source: a path, or what stands in a configuration: `{path: ..., format: ..., columns: ...}`.
        to: the format that is written.
        output: the new file.
        progress: told (phase, done, total).

    Raises:
        ConfigError: the format cannot be written.
        DataError: the source cannot be read, or nothing has room in the format.
    """
    from luthier.data.exchange import convert as write

    return write(_source(source), to, Path(output), _counting("converting", progress))


def merge(
    sources: Sequence[str | SourceConfig], output: str | Path, *, to: str | None = None, progress: Report | None = None
) -> Exchange:
    """Rows of several sources in one file of one format, each with the source it is from; see `convert`.

    Args:
        sources: as in `convert`.
        output: the new file, JSON Lines.
        to: the format that is written; None = the one that holds all of them.
        progress: told (phase, done, total).

    Raises:
        ConfigError: no format holds all of them, or the given one cannot be written.
        DataError: a source cannot be read, or nothing has room in the format.
    """
    from luthier.data.exchange import merge as write

    return write([_source(each) for each in sources], to, Path(output), _counting("merging", progress))


def _source(source: str | SourceConfig) -> SourceConfig:
    return source if isinstance(source, SourceConfig) else parse_source(source)


def _counting(phase: str, progress: Report | None) -> Callable[[int], None]:
    return lambda done: progress(phase, done, None) if progress else None


def import_config(path: str | Path) -> Imported:
    """A configuration of another tool in Luthier's own keys, and what became of each of its settings.

    Raises:
        ConfigError: no tool writes such a file, or it lacks what a run needs.
    """
    from luthier.importing import import_file

    return import_file(Path(path))


def generate(
    seeds: Config,
    endpoint: Endpoint,
    out: str | Path,
    wishes: Wishes,
    budget: Budget | None = None,
    *,
    overrides: Sequence[str] = (),
    progress: Report | None = None,
) -> Generated:
    """Instruction rows that a model writes from examples; goes on where an earlier call ended.

    Args:
        seeds: a configuration (only rows of its training split are shown to the model), or a file or folder of rows.
        endpoint: the model.
        out: the file of accepted rows; those refused, and the journal, stand beside it.
        wishes: what is wanted.
        budget: what it may cost in all.
        overrides: `key.path=value`, where seeds are a configuration file.
        progress: told (phase, rows accepted, rows wanted).

    Raises:
        ConfigError: `out` is another file, or the endpoint refuses the requests.
        DataError: the seeds cannot be read.
    """
    from luthier.data import generation

    if isinstance(seeds, RunConfig) or Path(seeds).suffix in (".yaml", ".yml"):
        settings = read_config(seeds, overrides)
    else:  # every row of a file is a seed
        data = {"train": str(seeds), "clean": [], "split": {"test": 0, "validation": 0}, "tolerance": 1}
        settings = RunConfig.model_validate({"model": {"base": "none"}, "data": data})
    say = progress or (lambda phase, done, total: None)
    return generation.generate(settings, endpoint, Path(out), wishes, budget or generation.Budget(), say)


def report(run: Run | str | Path) -> Path:
    """Writes report.html from what stands in the run's folder, and returns its path."""
    from luthier.reporting.report import write_report

    return write_report(_opened(run))


def track(run: Run | str | Path, to: str) -> str:
    """Tells a tracker a run afterwards, as it would have been told while it trained.

    Args:
        run: the run.
        to: the tracker's name, with the options that the run's configuration gives it; or its name and other options
            as YAML, such as {name: wandb, mode: offline}.

    Returns:
        Where the record is: a folder or an address.

    Raises:
        ConfigError: there is no such tracker, or its library is not installed.
        LuthierError: the tracker failed.
    """
    from luthier.tracking.replaying import options_for, replay

    opened = _opened(run)
    return replay(make_tracker(options_for(opened.config, to)), opened)


def export(
    run: Run | str | Path, target: str, output: str | Path | None = None, *, dtype: str | None = None
) -> Exported:
    """Writes an artefact and proves that it answers like the adapter.

    Raises:
        ArtefactRefused: it does not.
    """
    from luthier.export import export_run

    return export_run(_opened(run), target, Path(output) if output else None, dtype)


def schema() -> dict[str, Any]:
    """The JSON Schema of a configuration, for editors."""
    return json_schema()


def demo(overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration of `luthier demo`."""
    return load_config(recipe("demo").path, overrides)


def _opened(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else Run.open(run)
