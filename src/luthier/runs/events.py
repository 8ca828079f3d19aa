"""events.jsonl: what happened in a run, append-only, one JSON object a line.

Kinds and their fields (each also has `kind`, `time` in seconds since the epoch, and `step`):

- `step`: loss, learning_rate, grad_norm, tokens_per_second, tokens (seen so far), seconds (of training so far)
- `evaluation`: split (validation; train: means over the steps since the last evaluation, as they were computed; or
  samples: the written answers that are shown), metrics {name: value}
- `samples`: rows [{prompt, expected, answer, valid}]
- `checkpoint`: path, best (bool)
- `warning`: message
- `state`: state (planned | running | interrupted | failed | finished), message
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from luthier.runs.files import write_text

Event = dict[str, Any]


class EventLog:
    """Appends events to a file and tells listeners, such as a progress display."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listeners: list[Callable[[Event], None]] = []

    def write(self, kind: str, step: int = 0, **fields: Any) -> None:
        """Appends one event and flushes it, so that a reader of the file sees it at once."""
        event: Event = {"kind": kind, "time": round(time.time(), 3), "step": step, **fields}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, ensure_ascii=False) + "\n")
        for listener in self.listeners:
            listener(event)

    def rewind(self, step: int) -> None:
        """Forgets what happened after a step that a run goes back to, so that every step is told once.

        Args:
            step: the last one that is kept; -1 = none, nor what was told before the first one.
        """
        kept = [event for event in read_events(self.path) if event["step"] <= step]
        write_text(self.path, "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in kept))


def read_events(path: Path, kind: str | None = None) -> Iterator[Event]:
    """Events of a run in order; a last line cut off by a crash is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:  # it may be cut off inside a character
        for line in file:
            try:
                event: Event = json.loads(line)
            except json.JSONDecodeError:
                continue
            if kind is None or event["kind"] == kind:
                yield event
