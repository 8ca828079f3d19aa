"""The journal of a generation: what was asked, what was answered, what it cost. Append-only, synced line by line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from luthier.endpoint import Reply
from luthier.errors import ConfigError

Answered = Callable[[int, Reply], None]
"""Told (request's number, what was answered), in the order of the journal."""


@dataclass(frozen=True)
class Budget:
    """What a generation may cost in all, from its first request on; None = no limit.

    Attributes:
        requests: requests, failed ones included.
        tokens: tokens read and written.
        money: in the currency of the prices.
        prompt_price: of a million tokens that the model reads.
        completion_price: of a million tokens that it writes.
    """

    requests: int | None = None
    tokens: int | None = None
    money: float | None = None
    prompt_price: float = 0.0
    completion_price: float = 0.0

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.prompt_price + completion_tokens * self.completion_price) / 1e6


@dataclass
class Spent:
    """What was spent so far. What a request that is not answered yet may cost at most counts as spent.

    Attributes:
        requests: requests sent.
        prompt_tokens: tokens read by the model.
        completion_tokens: tokens written by it.
        open: number of a request -> what is set aside for it.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    open: dict[int, tuple[int, int]] = field(default_factory=dict)

    def exceeds(self, budget: Budget, prompt_tokens: int, completion_tokens: int) -> str:
        """Which limit one more request of that size may break; empty when none."""
        read = self.prompt_tokens + sum(each[0] for each in self.open.values()) + prompt_tokens
        written = self.completion_tokens + sum(each[1] for each in self.open.values()) + completion_tokens
        if budget.requests is not None and self.requests + 1 > budget.requests:
            return f"the budget of {budget.requests} requests"
        if budget.tokens is not None and read + written > budget.tokens:
            return f"the budget of {budget.tokens} tokens"
        if budget.money is not None and budget.cost(read, written) > budget.money:
            return f"the budget of {budget.money:g}"
        return ""


class BudgetSpent(Exception):
    """One more request might cost more than is allowed; the message names the limit."""


class Journal:
    """Opens a journal, or begins one.

    Args:
        path: the file.
        about: what the generation is; a journal of another one is refused.
        budget: what it may cost in all.
        answered: told every answer, those of the file first.

    Raises:
        ConfigError: the file is no journal, or of another generation.
    """

    def __init__(self, path: Path, about: dict[str, Any], budget: Budget, answered: Answered) -> None:
        self.spent = Spent()
        self.lost = 0
        self._budget = budget
        self._answered = answered
        self._lock = Lock()
        whole = self._replay(path, about) if path.exists() else 0
        self._file = path.open("ab")
        self._file.truncate(whole)  # a line that a kill broke off was never acted upon
        if not whole:
            self._write({"kind": "began", **about})

    def ask(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Notes a request that is about to be sent, with the most that it may cost, and returns its number.

        Raises:
            BudgetSpent: it might cost more than is left.
        """
        with self._lock:
            if limit := self.spent.exceeds(self._budget, prompt_tokens, completion_tokens):
                raise BudgetSpent(limit)
            number = self.spent.requests
            self._write({"kind": "asked", "request": number, "at_most": [prompt_tokens, completion_tokens]})
            self.spent.requests += 1
            self.spent.open[number] = (prompt_tokens, completion_tokens)
            return number

    def answer(self, number: int, reply: Reply) -> None:
        """Notes an answer, then tells it."""
        values = [reply.text, reply.prompt_tokens, reply.completion_tokens, reply.cut]
        with self._lock:
            self._write({"kind": "answered", "request": number, "reply": values})
            self._take(number, reply)

    def fail(self, number: int, reason: str) -> None:
        """Notes that a request failed; it cost a request and no tokens."""
        with self._lock:
            self._write({"kind": "failed", "request": number, "reason": reason})
            del self.spent.open[number]

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _take(self, number: int, reply: Reply) -> None:
        del self.spent.open[number]
        self.spent.prompt_tokens += reply.prompt_tokens
        self.spent.completion_tokens += reply.completion_tokens
        self._answered(number, reply)

    def _write(self, event: dict[str, Any]) -> None:
        self._file.write(json.dumps(event, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _replay(self, path: Path, about: dict[str, Any]) -> int:
        """Takes in what the file says; returns the bytes of its whole lines."""
        whole = 0
        with path.open("rb") as file:
            for place, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break
                event = _event(line, path)
                if place == 0:
                    _same(event, about, path)
                self._repeat(event)
                whole += len(line)
        self.lost = len(self.spent.open)
        return whole

    def _repeat(self, event: dict[str, Any]) -> None:
        match event["kind"]:
            case "asked":
                self.spent.requests += 1
                read, written = event["at_most"]
                self.spent.open[event["request"]] = (read, written)
            case "answered":
                self._take(event["request"], Reply(*event["reply"]))
            case "failed":
                del self.spent.open[event["request"]]


def _event(line: bytes, path: Path) -> dict[str, Any]:
    try:
        event = json.loads(line)
        if isinstance(event, dict) and "kind" in event:
            return event
    except ValueError:
        pass
    raise ConfigError(f"'{path}' is no journal of a generation", hint="choose another --out")


def _same(event: dict[str, Any], about: dict[str, Any], path: Path) -> None:
    for key, value in about.items():
        if event.get(key) != value:
            raise ConfigError(
                f"'{path}' is the journal of another generation: its {key} is {event.get(key)!r}, now it is {value!r}",
                hint="choose another --out",
            )
