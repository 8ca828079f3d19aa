"""A finished run's model, ready to answer new texts: for prediction, chat and export. The data is not needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from luthier import registry
from luthier.config import RunConfig
from luthier.data.records import TokenSequence
from luthier.data.rendering import Renderer
from luthier.errors import ConfigError, DataError
from luthier.methods import Method
from luthier.models.base import BaseModel
from luthier.models.files import resolve
from luthier.models.loading import load_base
from luthier.models.origins import Origins
from luthier.models.quantisation import dequantised
from luthier.runs import Run
from luthier.tasks import Converses, Prediction, Task, problem_of

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Speaker:
    """A model that answers: the tuned one of a run, or its base.

    Attributes:
        network: in eval mode.
        base: what it was built on.
    """

    network: nn.Module
    base: BaseModel
    renderer: Renderer
    task: Task
    config: RunConfig

    @property
    def modes(self) -> list[str]:
        """The task's ways of asking that give an answer; the first is the primary one."""
        if isinstance(self.task, Converses):
            return list(self.task.replies())
        return [mode for mode in self.task.modes(self.renderer.labels, answers=True) if mode != "likelihood"]

    def rows(self, texts: Sequence[str]) -> list[TokenSequence]:
        """Texts as token sequences without an expected answer.

        Raises:
            DataError: a text is longer than the run's `data.max_length`.
        """
        labels = self.renderer.labels
        numbered = [(number, self.task.question(text, labels)) for number, text in enumerate(texts)]
        rows = []
        for number, encoded in enumerate(self.task.encode(numbered, self.renderer)):
            if not isinstance(encoded, list):
                raise DataError(encoded.reason, where=f"input {number + 1}", hint="shorten the text")
            if len(encoded) > 1:
                raise DataError(f"too long: {len(encoded)} pieces", where=f"input {number + 1}", hint="ask about each")
            rows.append(replace(encoded[0], label=None))
        return rows

    def predict(self, texts: Sequence[str], *, mode: str | None = None) -> list[Prediction]:
        """Answers to texts, in the primary way of asking when none is named.

        Raises:
            ConfigError: the task has no such way of asking.
        """
        chosen = mode or self.modes[0]
        if chosen not in self.modes:
            raise ConfigError(f"this run cannot be asked by '{chosen}'", expected=f"one of {', '.join(self.modes)}")
        length = self.config.evaluation.generate.max_new_tokens
        return self.task.predict(self.network, self.renderer, self.rows(texts), mode=chosen, max_new_tokens=length)


def open_speaker(run: Run, *, base: bool = False, dtype: str | None = None, plain: bool = False) -> Speaker:
    """Loads a run's tuned model, or its untuned base.

    Args:
        run: the run.
        base: the untuned base.
        dtype: computes in another type than the run's.
        plain: a quantised base is dequantised, as it has to be before anything is merged into it.

    Raises:
        ConfigError: the run has not saved anything yet, or was trained on another base, tokenizer or template.
    """
    config = run.config
    if dtype is not None:
        config = config.model_copy(update={"model": config.model.model_copy(update={"dtype": dtype})})
    if not base and not run.adapter.is_dir():
        raise ConfigError(
            f"the run in '{run.path}' has no trained model yet", hint=f"luthier train --resume {run.path}"
        )
    task: Task = registry.load("task", config.task.name)(config.task)
    method: Method = registry.load("method", config.method.name)(config.method)
    files = resolve(config.model.base, allow_pickle=config.model.allow_pickle)
    labels = tuple(run.record["data"]["labels"])
    outputs, problem = task.outputs(labels), problem_of(task)
    loaded = load_base(config.model, files, head=task.head, labels=outputs, problem=problem, compute=method.dtype)
    renderer = Renderer.for_data(config.data, loaded.tokenizer, labels)
    Origins.now(files, renderer).check(run)
    loaded = dequantised(loaded) if plain else loaded
    network = loaded.network if base else method.open(loaded, run.adapter)
    return Speaker(network, loaded, renderer, task, config)
