"""The tasks of EleutherAI's `lm-eval`, asked of a run's tuned model and of its base."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from luthier.errors import ConfigError, LuthierError
from luthier.evaluation.speaker import Speaker, open_speaker
from luthier.runs import Run

BATCH = 8
RESAMPLES = 1000

_BACKENDS = {"causal_lm": "causal", "seq2seq_lm": "seq2seq"}
"""What `lm-eval` calls the kinds of models that write."""

Scores = dict[str, dict[str, dict[str, float]]]


def run_harness(run: Run, tasks: Sequence[str], limit: int | None = None) -> Scores:
    """Asks the base and the tuned model about tasks.

    Args:
        run: a finished run.
        tasks: names that `lm-eval` knows, or YAML files of tasks. Most of its own tasks fetch their data from a hub; a
            YAML file can name local data (`dataset_path: json`, `dataset_kwargs: {data_files: ...}`).
        limit: at most so many rows of a task.

    Returns:
        {TASK: {METRIC: {base, tuned, base_stderr, tuned_stderr}}}; a metric stands with its filter, as `lm-eval` has
        it (`acc,none`), and without a standard error where there is none.

    Raises:
        ConfigError: `lm-eval` is not installed, or the run's model does not write.
        LuthierError: `lm-eval` does not know a task, or cannot get its data.
    """
    if find_spec("lm_eval") is None:
        raise ConfigError("lm-eval is not installed", hint='pip install "luthier[lm-eval]"')
    if missing := [task for task in tasks if _is_file(task) and not Path(task).is_file()]:
        raise ConfigError("there is no such file of a task", where=missing[0])
    found: Scores = {}
    for model in ("base", "tuned"):
        for task, values in _ask(open_speaker(run, base=model == "base"), tasks, limit).items():
            for name, value in values.items():
                metric, _, how = name.partition(",")
                base_name, stderr = metric.removesuffix("_stderr"), metric.endswith("_stderr")
                if isinstance(value, int | float):
                    line = found.setdefault(task, {}).setdefault(f"{base_name},{how}", {})
                    line[f"{model}_stderr" if stderr else model] = float(value)
    return found


def _is_file(task: str) -> bool:
    return Path(task).suffix in (".yaml", ".yml")


def _ask(speaker: Speaker, tasks: Sequence[str], limit: int | None) -> dict[str, dict[str, Any]]:
    """What `lm-eval` says of one model, by task."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    head = speaker.task.head
    if head not in _BACKENDS:
        raise ConfigError("lm-eval asks models that write, and this run's has a head", expected="causal_lm or seq2seq")
    model = HFLM(
        pretrained=speaker.network, backend=_BACKENDS[head], tokenizer=speaker.base.tokenizer, batch_size=BATCH
    )
    named = not all(map(_is_file, tasks))  # looking through its thousands of own tasks takes a while
    try:
        results = simple_evaluate(
            model=model,
            tasks=list(tasks),
            task_manager=TaskManager(include_defaults=named),
            limit=limit,
            bootstrap_iters=RESAMPLES,
        )
    except (KeyError, OSError, ValueError) as error:  # an unknown task, no network, no such data
        reason = str(error.args[0]).splitlines()[0] if error.args else type(error).__name__
        raise LuthierError(
            f"lm-eval cannot run these tasks: {reason}",
            where=", ".join(tasks),
            hint="without network, only tasks whose data are local files work",
        ) from error
    return {
        task: {name: value for name, value in values.items() if "," in name}
        for task, values in (results or {}).get("results", {}).items()
    }
