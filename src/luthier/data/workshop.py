"""Where a preparation is made before it is whole, so that the next one goes on where an interrupted one stopped.

A preparation is written into `.DIGEST.PID.partial` beside its place and renamed when it is done. Once its first pass is
over, that pass is kept there too; a process that prepares the same rows takes over what a dead one has left.
"""

from __future__ import annotations

import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from luthier.errors import LuthierError

State = TypeVar("State")

_PASS = "first-pass.pickle"
_OLD = 7 * 86_400.0
"""Seconds after which what nobody took over is removed."""


@contextmanager
def workshop(place: Path, last: str) -> Iterator[Path]:
    """A folder to prepare into, renamed to `place` at the end.

    An error removes it: the same rows would fail again. An interruption leaves it when its first pass is over.

    Args:
        place: where the preparation belongs.
        last: its last file; when another process was faster, that one's stays.
    """
    aside = place.with_name(f".{place.name}.{os.getpid()}.partial")
    _remove_old(place.parent)
    if not _taken_over(place, aside):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
    try:
        yield aside
        (aside / _PASS).unlink(missing_ok=True)
        if not (place / last).is_file():
            aside.rename(place)
    except LuthierError:
        (aside / _PASS).unlink(missing_ok=True)
        raise
    finally:
        if not (aside / _PASS).is_file():
            shutil.rmtree(aside, ignore_errors=True)


def once(folder: Path, make: Callable[[], State]) -> State:
    """What `make` returns, made once for a folder: the next process that works there reads it.

    It is pickled, so it must be made of plain values and arrays; the cache is the user's own.
    """
    done = folder / _PASS
    if done.is_file():
        with done.open("rb") as file:
            state: State = pickle.load(file)
        return state
    state = make()
    partial = folder / f"{_PASS}.partial"
    with partial.open("wb") as file:
        pickle.dump(state, file, protocol=5)
    partial.replace(done)
    return state


def _taken_over(place: Path, aside: Path) -> bool:
    """Whether an interrupted preparation of the same rows, its first pass over, is now this process's own."""
    if (aside / _PASS).is_file():
        return True
    for left in _left_behind(place.parent, place.name):
        if not (left / _PASS).is_file():
            shutil.rmtree(left, ignore_errors=True)
            continue
        with suppress(OSError):  # another process may have taken it
            shutil.rmtree(aside, ignore_errors=True)
            left.rename(aside)
            return True
    return False


def _left_behind(cache: Path, name: str = "*") -> Iterator[Path]:
    """Folders aside whose process is gone."""
    for folder in cache.glob(f".{name}.*.partial"):
        pid = folder.name.split(".")[-2]
        if pid.isdigit() and not _runs(int(pid)):
            yield folder


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return True


def _remove_old(cache: Path) -> None:
    for folder in _left_behind(cache):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _OLD:
                shutil.rmtree(folder, ignore_errors=True)
