"""All tasks there are, seeds and accepted ones: what new tasks are compared with, and what examples are drawn from.

Tasks are compared by the overlap of their questions' character 5-grams, as preparation compares rows, and not by
ROUGE-L of their instructions, as the paper does: tasks of one instruction with different inputs are different rows, a
Chinese question has no spaces to cut words at, and a new task is compared with a million others in milliseconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from luthier.config import RunConfig
from luthier.data.decisions import decide
from luthier.data.gathering import gather
from luthier.data.generation.tasks import Task, task_of
from luthier.data.intake import iterate_examples
from luthier.data.similarity import Signer, jaccard
from luthier.data.splits import TRAIN
from luthier.data.store import Examples
from luthier.errors import DataError

ACCEPTED_SHARE = 0.25
"""Of the examples in a prompt, how many are accepted tasks: two of eight, as in the paper."""

_MARGIN = 0.2  # how far an estimate by signatures may be off, beyond any doubt
_COMPARED = 20
_BATCH = 1000


class Seeds:
    """The user's rows as tasks, on disk. Those of the training split are shown to the model, all are compared with.

    Args:
        config: where the rows are, how they are cleaned and split.
        folder: an empty folder to keep them in.

    Raises:
        DataError: the rows cannot be read, or none is a task.
    """

    def __init__(self, config: RunConfig, folder: Path) -> None:
        gathered = gather(iterate_examples(config), folder / "seeds.arrow", lambda done: None)
        decisions = decide(gathered, config.data)
        labels = ", ".join(decisions.labels)
        self._instruction = (config.data.instruction or "").replace("{labels}", labels) or None
        self._examples: Examples = gathered.examples
        signer, texts, ids = Signer(), list[str](), list[int]()
        row_id = -1
        for batch in gathered.examples.batches():
            for row in batch:
                row_id += 1
                task = None if row.example is None else task_of(row.example, self._instruction)
                if task is not None:
                    texts.append(task.question)
                    ids.append(row_id)
            signer.add(texts)
            texts = []
        self._ids = np.array(ids, np.int64)
        self.minhash = signer.finish().minhash
        self._shown = self._ids[decisions.alive[self._ids] & (decisions.splits[self._ids] == TRAIN)]
        if not len(self._shown):
            raise DataError(
                "there is no row to show as an example",
                where=", ".join(source.path for source in config.data.train),
                expected="instructions with answers, labelled texts or pairs",
            )

    def __len__(self) -> int:
        return len(self._ids)

    def task(self, place: int) -> Task:
        """One of the rows that new tasks are compared with."""
        return self._task(int(self._ids[place]))

    def draw(self, count: int, random: Random) -> list[Task]:
        """Different rows to show."""
        places = random.sample(range(len(self._shown)), min(count, len(self._shown)))
        return [self._task(int(self._shown[place])) for place in places]

    def _task(self, row_id: int) -> Task:
        task = task_of(self._examples.example(row_id), self._instruction)
        assert task is not None  # only such rows have an id here
        return task


class Pool:
    """Seeds and accepted tasks.

    Args:
        seeds: the user's rows.
        similarity: overlap from which on a task is a near-duplicate.
    """

    def __init__(self, seeds: Seeds, similarity: float) -> None:
        self._seeds = seeds
        self._similarity = similarity
        self._signatures = np.array(seeds.minhash)
        self.accepted: list[Task] = []

    @property
    def digest(self) -> str:
        """What the seeds are, as a hash."""
        return hashlib.sha256(self._seeds.minhash.tobytes()).hexdigest()[:24]

    def resembled(self, task: Task) -> str:
        """Which task says nearly the same, for the file of refused ones; empty when none does."""
        signature, count = _signature(task), len(self._seeds) + len(self.accepted)
        estimates = (self._signatures[:count] == signature).mean(axis=1)
        near = np.flatnonzero(estimates >= self._similarity - _MARGIN)
        for place in near[np.argsort(-estimates[near], kind="stable")][:_COMPARED].tolist():
            overlap = jaccard(task.question, self._task(place).question)
            if overlap >= self._similarity:
                what = "a seed" if place < len(self._seeds) else "an accepted row"
                return f"near-duplicate of {what} (similarity {overlap:.2f}): {self._task(place).question}"
        return ""

    def accept(self, task: Task) -> None:
        """Adds a task."""
        count = len(self._seeds) + len(self.accepted)
        if count == len(self._signatures):
            room = np.empty((max(1000, len(self.accepted)), self._signatures.shape[1]), np.uint32)
            self._signatures = np.concatenate([self._signatures, room])
        self._signatures[count] = _signature(task)
        self.accepted.append(task)

    def examples(self, count: int, random: Random) -> Sequence[Task]:
        """Tasks to show, in random order: mostly seeds, a quarter accepted ones once there are some."""
        made = random.sample(self.accepted, min(round(ACCEPTED_SHARE * count), len(self.accepted)))
        shown = [*self._seeds.draw(count - len(made), random), *made]
        random.shuffle(shown)
        return shown

    def _task(self, place: int) -> Task:
        seeds = len(self._seeds)
        return self._seeds.task(place) if place < seeds else self.accepted[place - seeds]


def _signature(task: Task) -> NDArray[np.uint32]:
    signer = Signer()
    signer.add([task.question])
    signature: NDArray[np.uint32] = signer.finish().minhash[0]
    return signature
