"""Asking, scoring, comparing and diagnosing finished runs."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.data.splits import SPLITS
from luthier.errors import ConfigError, DataError
from luthier.evaluation.evaluate import Examiner
from luthier.evaluation.forgetting import GeneralText
from luthier.evaluation.results import asking_times, write_predictions
from luthier.evaluation.speaker import Speaker, open_speaker
from luthier.pipeline.handing_on import report
from luthier.pipeline.opening import open_run
from luthier.progress import Report
from luthier.runs import Run
from luthier.runs.files import write_json
from luthier.tasks import Prediction
from luthier.training.session import Materials

if TYPE_CHECKING:
    from luthier.diagnosis import Diagnosis
    from luthier.evaluation.fingpt import Parsing, Prompts
    from luthier.evaluation.harness import Scores
    from luthier.reporting.comparison_table import Comparison


def evaluate(run: Run | str | Path, *, split: str = "test", progress: Report | None = None) -> dict[str, Any]:
    """Asks the base and the saved artefact about the same rows, scores them beside the baselines, and writes
    evaluation/metrics.json and predictions.jsonl.

    Args:
        run: the run.
        split: test, validation or train; without test rows, validation is taken.
        progress: told (phase, done, total).

    Returns:
        The content of metrics.json.

    Raises:
        ConfigError: there is no such split, or the base is not the run's, or its rows have changed and are no longer in
            the cache.
        DataError: the split has no rows.
    """
    if split not in SPLITS:
        raise ConfigError(f"there is no split '{split}'", expected=" or ".join(SPLITS))
    run = open_run(run)
    gc.collect()  # the trained network, if it was in this process
    materials = Materials.of(run, progress, as_they_were=True)
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

    opened = open_run(run)
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

    first, second = open_run(run), open_run(other) if other is not None else None
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

    opened = open_run(run)
    found, answers = run_benchmark(
        opened, files, prompts=prompts, parsing=parsing, as_given=as_given, base=base, progress=progress
    )
    write_json(opened.evaluation / "fingpt.json", found)
    write_predictions(opened.evaluation / "fingpt.jsonl", answers)
    return found


def speaker(run: Run | str | Path, *, base: bool = False) -> Speaker:
    """A run's tuned model, or its untuned base, ready to answer many times."""
    return open_speaker(open_run(run), base=base)


def predict(
    run: Run | str | Path, inputs: Sequence[str], *, mode: str | None = None, base: bool = False
) -> list[Prediction]:
    """Answers of a run's tuned model (or of its base) to new texts."""
    return speaker(run, base=base).predict(inputs, mode=mode)


def compare(
    runs: Sequence[Run | str | Path],
    *,
    refused: Sequence[str] = (),
    latency: int | None = None,
    progress: Report | None = None,
) -> Comparison:
    """Finished runs side by side: scores with paired differences to the first, and what each took.

    Args:
        runs: the runs, the one that others are compared with first.
        refused: why there are no more of them, as `train_methods` says it.
        latency: asks so many test rows now: base, unmerged and merged model by turns; kept in run.json.
        progress: told (phase, done, total).

    Raises:
        ConfigError: a run is not finished.
    """
    from luthier.evaluation.latency import asked_texts, measure_latency
    from luthier.reporting.comparison_table import Comparison
    from luthier.reporting.side_by_side import read_runs

    opened = [open_run(run) for run in runs]
    read_runs(opened)  # problems show before anything is measured
    for done, run in enumerate(opened if latency else []):
        if progress:
            progress("measuring latency", done, len(opened))
        run.update_record(latency=measure_latency(run, asked_texts(run, latency or 1)))
    return Comparison.of(read_runs(opened), refused)


def diagnose(run: Run | str | Path) -> Diagnosis:
    """What is wrong with a run and what to change; written to diagnosis.json, and the report with it."""
    from luthier.diagnosis import diagnose as look
    from luthier.diagnosis import write_diagnosis

    opened = open_run(run)
    found = look(opened)
    write_diagnosis(opened, found)
    report(opened)
    return found
