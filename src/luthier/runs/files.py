"""Writing files so that a crash leaves the old one or the new one, never half of one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """Where work is kept that can be done again: $LUTHIER_CACHE, $XDG_CACHE_HOME/luthier or ~/.cache/luthier."""
    if chosen := os.environ.get("LUTHIER_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "luthier"


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path aside to write to; on success it is synced and renamed to `path`, on failure removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path, *, many: bool = False) -> Iterator[Path]:
    """Gives a folder aside to fill; on success it is synced and renamed to `path`, on failure removed.

    When another process made `path` in the meantime, that one stays: both hold the same. With `many` files, all that
    the system has not written yet is synced once, which is faster than thousands of them one by one.
    """
    with _folder_aside(path) as aside:
        yield aside
        if many:
            os.sync()
        else:
            _sync(aside)
        try:
            aside.rename(path)
        except OSError:
            if not path.is_dir():
                raise


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Gives a folder aside to fill; on success it takes the place of `path`, which is removed only then.

    A kill in between leaves both, at most under hidden names beside `path`.
    """
    with _folder_aside(path) as aside:
        yield aside
        _sync(aside)
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        if path.exists():
            path.rename(old)
        try:
            aside.rename(path)
        except BaseException:
            if old.exists():
                old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _folder_aside(path: Path) -> Iterator[Path]:
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _sync(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())


def write_text(path: Path, text: str) -> None:
    """Writes a whole text file, atomically."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file for people to read too, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def weights_mb(folder: Path) -> float:
    """Size of a saved model's or adapter's weights on disk, in MB; 0 without any."""
    for ending in ("*.safetensors", "*.bin"):
        if files := list(folder.glob(ending)):
            return sum(file.stat().st_size for file in files) / 1e6
    return 0.0


def read_json(path: Path) -> Any:
    """Reads a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
