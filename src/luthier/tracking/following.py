"""Trackers of a run that trains: each has a thread of its own, so that no training waits for one or ends by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread

from luthier.runs import Event, Run
from luthier.tracking import Tracker
from luthier.tracking.telling import ENDS, Teller

PATIENCE = 60.0
"""Seconds that a run waits at its end for a tracker to take what is left."""

Listener = Callable[[Event], None]


class Follower:
    """Listens to a run's events and passes them on to one tracker.

    Args:
        tracker: where the run is shown.
        run: the run.
        warn: told what went wrong, once, from the thread of the training, with the step it is at.
    """

    def __init__(self, tracker: Tracker, run: Run, warn: Callable[[str, int], None]) -> None:
        self._teller, self._name, self._warn = Teller(tracker, run), tracker.options.name, warn
        self._run, self._step = run, 0
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._trouble: str | None = None
        self._warned = False
        self._thread = Thread(target=self._work, name=f"tracker {self._name}", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Takes an event, in no time."""
        self._step = max(self._step, event["step"])
        if self._trouble is None:
            self._events.put(event)
        self._complain()

    def close(self) -> None:
        """Waits for the tracker to take what is left, but not for ever."""
        self._events.put(None)
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._trouble = f"it did not take everything within {PATIENCE:g} seconds"
        self._complain()

    def _work(self) -> None:
        opened = False
        try:
            while (event := self._events.get()) is not None:
                if not opened:
                    self._teller.begin(event["step"])  # a run that goes on begins at its checkpoint's step
                    opened = True
                self._teller.tell(event)
                if event["kind"] == "state" and event["state"] in ENDS:
                    self._teller.end(event["state"])
                    return
        except BaseException as error:  # libraries have been seen to exit
            self._trouble = f"{type(error).__name__}: {error}"

    def _complain(self) -> None:
        if self._trouble is None or self._warned:
            return
        self._warned = True
        self._warn(
            f"the tracker {self._name} stopped: {self._trouble}; training is not affected, and "
            f"`luthier track {self._run.path} --to {self._name}` sends everything later",
            self._step,
        )


@contextmanager
def following(run: Run, trackers: Sequence[Tracker], listeners: Sequence[Listener]) -> Iterator[list[Listener]]:
    """The listeners of a run, and one more for each tracker; on leaving, the trackers are waited for."""

    def warn(message: str, step: int) -> None:
        log = run.events
        log.listeners += listeners
        log.write("warning", step, message=message)

    followers = [Follower(tracker, run, warn) for tracker in trackers]
    try:
        yield [*listeners, *followers]
    finally:
        for follower in followers:
            follower.close()
