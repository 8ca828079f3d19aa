"""Asks for new tasks until there are enough, and keeps account of every one that was proposed."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, TextIO

from luthier.config import RunConfig
from luthier.data.generation.journal import Budget, BudgetSpent, Journal
from luthier.data.generation.pool import Pool, Seeds
from luthier.data.generation.tasks import KEYS, Candidate, Task, candidates, prompt
from luthier.data.generation.validity import problem
from luthier.data.intake import ORIGIN_COLUMN
from luthier.data.ledger import reason_class
from luthier.endpoint import Endpoint, Messages, Reply, TryFailed, tokens_in
from luthier.errors import ConfigError, Interrupted, LuthierError
from luthier.progress import Report

IN_VAIN = 10
"""So many answers in a row without a single new row end a generation: the model repeats itself."""

_PHASE = "rows accepted"


@dataclass(frozen=True)
class Wishes:
    """What is wanted.

    Attributes:
        rows: rows to accept, at least; a last answer may bring more.
        per_request: rows asked for in a request.
        examples: rows shown in a request.
        about: what the rows are for, said to the model.
        similarity: overlap of 5-grams from which on a row is a near-duplicate.
        temperature: of the model.
        max_tokens: longest answer.
        at_once: requests under way at the same time.
        seed: seed of what is shown.
    """

    rows: int
    per_request: int = 5
    examples: int = 8
    about: str | None = None
    similarity: float = 0.7
    temperature: float = 0.8
    max_tokens: int = 2048
    at_once: int = 4
    seed: int = 42


@dataclass(frozen=True)
class Generated:
    """What became of a generation.

    Attributes:
        file: the accepted rows.
        refused_file: the refused ones, each with its reason.
        rows: number of accepted rows.
        refused: number of refused ones, by reason.
        requests: requests sent in all.
        lost: requests whose answer did not come before the generation was stopped.
        prompt_tokens: tokens that the model read.
        completion_tokens: tokens that it wrote.
        cost: what they cost, by the given prices.
        ended: why it ended.
    """

    file: Path
    refused_file: Path
    rows: int
    refused: dict[str, int]
    requests: int
    lost: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    ended: str

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def generate(
    config: RunConfig, endpoint: Endpoint, out: Path, wishes: Wishes, budget: Budget, progress: Report
) -> Generated:
    """Writes accepted rows to `out`, refused ones to `out.refused`, requests and answers to `out.journal`; goes on
    where an earlier call ended.

    Args:
        config: the seeds; rows outside its training split are not shown to the model.
        endpoint: the model.
        out: a file that is not there yet, or of an earlier call.
        wishes: what is wanted.
        budget: what it may cost, earlier calls included.
        progress: told (phase, rows accepted, rows wanted).

    Raises:
        ConfigError: `out` is another file, or the endpoint refuses the requests.
        LuthierError: the endpoint does not answer.
        Interrupted: stopped by the user.
    """
    journal_file = out.with_name(f"{out.name}.journal")
    if out.exists() and not journal_file.exists():
        raise ConfigError(f"'{out}' is there, and no generation wrote it", hint="choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="luthier-") as folder:
        pool = Pool(Seeds(config, Path(folder)), wishes.similarity)
        generation = _Generation(pool, journal_file, endpoint, wishes, budget, progress)
        with _Files(out) as files:  # only now: a journal of another generation leaves its rows as they are
            return generation.run(files)


class _Files:
    """Accepted and refused rows, written anew."""

    def __init__(self, out: Path) -> None:
        self.paths = (out, out.with_name(f"{out.name}.refused"))
        self._accepted, self._refused = (path.open("w", encoding="utf-8") for path in self.paths)

    def accept(self, task: Task) -> None:
        _add(self._accepted, {key: getattr(task, key) for key in KEYS} | {ORIGIN_COLUMN: "generated"})

    def refuse(self, request: int, candidate: Candidate, reason: str) -> None:
        what = {"task": asdict(candidate.task)} if candidate.task else {"text": candidate.text}
        _add(self._refused, {"request": request, "reason": reason, **what})

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        self._accepted.close()
        self._refused.close()


def _add(file: TextIO, value: dict[str, Any]) -> None:
    file.write(json.dumps(value, ensure_ascii=False) + "\n")
    file.flush()


class _Generation:
    """One call. Requests run in threads; what was answered is judged here, in the order of the journal."""

    def __init__(
        self,
        pool: Pool,
        journal: Path,
        endpoint: Endpoint,
        wishes: Wishes,
        budget: Budget,
        progress: Report,
    ) -> None:
        self.pool = pool
        self.endpoint = endpoint
        self.wishes = wishes
        self.budget = budget
        self.progress = progress
        self.refused: Counter[str] = Counter()
        self.in_vain = 0
        self.ended = ""
        self._arrived: SimpleQueue[tuple[int, Reply] | Exception] = SimpleQueue()
        about = {"model": endpoint.model, "similarity": wishes.similarity, "seeds": pool.digest}
        self.journal = Journal(journal, about, budget, lambda number, reply: self._arrived.put((number, reply)))

    def run(self, files: _Files) -> Generated:
        """Asks until there is enough, or no more may be asked."""
        while not self._arrived.empty():  # what the journal holds
            self._next_arrival(files)
        self.in_vain = 0
        threads = ThreadPoolExecutor(self.wishes.at_once)
        try:
            pending = 0
            while True:
                while pending < self.wishes.at_once and self._more_wanted(pending) and self._submit(threads, pending):
                    pending += 1
                if not pending:
                    break
                self._next_arrival(files)
                pending -= 1
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped with {len(self.pool.accepted)} rows; everything answered so far is kept",
                where=str(files.paths[0]),
                hint="the same command goes on",
            ) from None
        finally:
            threads.shutdown(wait=True, cancel_futures=True)
            self.journal.close()
        return self._result(files)

    def _more_wanted(self, pending: int) -> bool:
        """Whether another request is to be sent beside those under way."""
        if len(self.pool.accepted) >= self.wishes.rows:
            self.ended = f"{self.wishes.rows} rows were wanted"
        elif self.in_vain >= IN_VAIN:
            self.ended = f"{IN_VAIN} answers in a row brought nothing new"
        expected = len(self.pool.accepted) + pending * self.wishes.per_request
        return not self.ended and (not pending or expected < self.wishes.rows)

    def _submit(self, threads: ThreadPoolExecutor, pending: int) -> bool:
        """Sends another request, when what is left of the budget allows it: answers under way may leave more."""
        random = Random(f"{self.wishes.seed} {self.journal.spent.requests} {len(self.pool.accepted)}")
        examples = self.pool.examples(self.wishes.examples, random)
        messages = prompt(examples, self.wishes.per_request, self.wishes.about)
        size = tokens_in(*(message["content"] for message in messages))
        try:
            request = self.journal.ask(size, self.wishes.max_tokens)
        except BudgetSpent as limit:
            self.ended = "" if pending else str(limit)
            return False
        threads.submit(self._ask, request, messages, size)
        return True

    def _ask(self, request: int, messages: Messages, size: int) -> None:
        """One request with its tries, in a thread; exactly one thing arrives of it."""
        try:
            for number in range(self.endpoint.tries):
                if number:
                    request = self.journal.ask(size, self.wishes.max_tokens)
                try:
                    reply = self.endpoint.try_once(
                        messages, temperature=self.wishes.temperature, max_tokens=self.wishes.max_tokens
                    )
                except TryFailed as failed:
                    self.journal.fail(request, str(failed))
                    if number + 1 == self.endpoint.tries:
                        raise self.endpoint.given_up(str(failed)) from failed
                    time.sleep(self.endpoint.pause_after(number, failed))
                except LuthierError as error:
                    self.journal.fail(request, error.found)
                    raise
                else:
                    self.journal.answer(request, reply)
                    return
        except Exception as error:
            self._arrived.put(error)

    def _next_arrival(self, files: _Files) -> None:
        arrived = self._arrived.get()
        if isinstance(arrived, BudgetSpent):
            self.ended = str(arrived)
        elif isinstance(arrived, Exception):
            raise arrived
        else:
            self._judge(*arrived, files)

    def _judge(self, request: int, reply: Reply, files: _Files) -> None:
        """Accepts or refuses every task of an answer."""
        before = len(self.pool.accepted)
        for candidate in candidates(reply.text, cut=reply.cut):
            reason = candidate.problem
            if candidate.task is not None:
                reason = problem(candidate.task) or self.pool.resembled(candidate.task)
            if candidate.task is None or reason:
                files.refuse(request, candidate, reason)
                self.refused[reason_class(reason.partition(" (")[0].partition(":")[0])] += 1
            else:
                self.pool.accept(candidate.task)
                files.accept(candidate.task)
        self.in_vain = 0 if len(self.pool.accepted) > before else self.in_vain + 1
        self.progress(_PHASE, len(self.pool.accepted), self.wishes.rows)

    def _result(self, files: _Files) -> Generated:
        spent, (file, refused_file) = self.journal.spent, files.paths
        return Generated(
            file=file,
            refused_file=refused_file,
            rows=len(self.pool.accepted),
            refused=dict(self.refused.most_common()),
            requests=spent.requests,
            lost=self.journal.lost,
            prompt_tokens=spent.prompt_tokens,
            completion_tokens=spent.completion_tokens,
            cost=round(self.budget.cost(spent.prompt_tokens, spent.completion_tokens), 6),
            ended=self.ended,
        )
