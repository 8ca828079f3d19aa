"""Whether what the base knew is still there: general text, asked about before and after tuning."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from luthier.config import RunConfig, SourceConfig
from luthier.config.run import GENERAL_TEXT, ForgettingConfig
from luthier.data.examples import Document, Example, Labelled, Pair, Row, UnreadableRow
from luthier.data.formats import examples_in
from luthier.data.intake import OpenSource
from luthier.data.records import TokenSequence
from luthier.data.rendering import Renderer
from luthier.errors import ConfigError, DataError
from luthier.evaluation.comparison import compare
from luthier.models.inference import LOGITS_AT_ONCE
from luthier.tasks import Prediction, Task

if TYPE_CHECKING:
    from torch import nn

_SENTENCE_END = re.compile(r"[.!?;,](?=\s)|[。！？；，]")


@dataclass(frozen=True)
class GeneralText:
    """General text as rows of the run's task.

    Attributes:
        renderer: the run's, without its instruction, its system message and its labels.
        rows: what is asked about.
        left_out: rows that nothing can be asked about, or with characters that the model does not know.
        path: where the text comes from.
    """

    config: RunConfig
    task: Task
    renderer: Renderer
    rows: Sequence[TokenSequence]
    left_out: int
    path: str

    @classmethod
    def of(cls, config: RunConfig, task: Task, renderer: Renderer) -> GeneralText | None:
        """The text that the configuration names; None where it names none, or the task cannot be asked about it.

        Rows that are longer than the run's `data.max_length` are cut.

        Raises:
            ConfigError: the task can do nothing with text of the user's own.
            DataError: a row cannot be read.
        """
        settings = config.evaluation.forgetting
        if settings is None or not task.base_answers:
            return None
        examples = [_for_task(example, task) for example in _examples(settings)]
        usable = [example for example in examples if example is not None]
        if not usable:
            if settings.path == GENERAL_TEXT:
                return None
            raise ConfigError(
                f"the task '{config.task.name}' cannot be asked about rows such as these",
                where="evaluation.forgetting.path",
                expected=f"rows of {', '.join(kind.__name__.lower() for kind in task.kinds)}",
            )
        labels = tuple(dict.fromkeys(example.label for example in usable if isinstance(example, Labelled)))
        bare = replace(renderer, system=None, instruction=None, labels=labels, too_long="truncate", shots=())
        unknown = bare.tokenizer.unk_token_id
        encoded = [one[0] for one in task.encode(list(enumerate(usable)), bare) if isinstance(one, list)]
        rows = [row for row in encoded if unknown is None or unknown not in row.ids]
        return cls(config, task, bare, rows, len(examples) - len(rows), settings.path)

    def ask(self, network: nn.Module) -> list[Prediction]:
        """What a model says: how likely the text is, or which labels.

        A few rows at a time: logits of all tokens of a text may take more memory than training did.
        """
        mode = self.task.modes(self.renderer.labels, answers=True)[0]
        most = LOGITS_AT_ONCE // len(self.renderer.tokenizer)
        return [
            answer
            for rows in _portions(self.rows, most)
            for answer in self.task.predict(network, self.renderer, rows, mode=mode, max_new_tokens=1)
        ]

    def compare(self, base: Sequence[Prediction], tuned: Sequence[Prediction]) -> dict[str, Any]:
        """Both side by side, as `luthier.evaluation.comparison.compare` has it, with `path` and `left_out`."""
        settings, seed = self.config.evaluation, self.config.training.seed
        found = compare(base, tuned, {}, settings.metrics, self.renderer.labels, seed)
        return found | {"path": self.path, "left_out": self.left_out}


def _portions(rows: Sequence[TokenSequence], most: int) -> Iterator[list[TokenSequence]]:
    """Rows in order, as many at a time as have at most so many tokens with their padding; at least one."""
    portion: list[TokenSequence] = []
    for row in rows:
        longest = max(len(each.ids) for each in (*portion, row))
        if portion and longest * (len(portion) + 1) > most:
            yield portion
            portion = []
        portion.append(row)
    if portion:
        yield portion


def _examples(settings: ForgettingConfig) -> Iterator[Example]:
    """The first rows of the text."""
    source = OpenSource.open(SourceConfig(path=settings.path), lambda note: None)
    for row in islice(source.rows(), settings.limit):
        try:
            if source.format is None or not isinstance(row, Row):
                raise UnreadableRow(getattr(row, "reason", "no format could be told"))
            for part in examples_in(source.format, row):
                if isinstance(part, UnreadableRow):
                    raise part
                yield part
        except UnreadableRow as error:
            raise DataError(
                f"a row of the general text cannot be read: {error}",
                where=f"{row.file}:{row.line}",
                hint="evaluation.forgetting.path is a file of texts, such as one {text: ...} a line",
            ) from None


def _for_task(example: Example, task: Task) -> Example | None:
    """The example as the task takes it: running text becomes two halves where a task makes one text of another."""
    if isinstance(example, task.kinds):
        return example
    return _halves(example.text) if isinstance(example, Document) and Pair in task.kinds else None


def _halves(text: str) -> Pair | None:
    """A text parted where a clause ends, as near to its middle as possible; None when it has one clause only."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text) if text[match.end() :].strip()]
    if not ends:
        return None
    middle = min(ends, key=lambda end: abs(end - len(text) / 2))
    return Pair(text[:middle].strip(), text[middle:].strip())
