"""Hashes of weight files, remembered so that a file is read once and not at every start."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from luthier.runs.files import cache_folder, read_json, write_json


def file_digest(path: Path) -> str:
    """The file's blake2b hash (32 hexadecimal digits), from the cache when size and time of change are the same."""
    stat = path.stat()
    key, stamp = str(path.resolve()), [stat.st_size, stat.st_mtime_ns]
    memory = cache_folder() / "digests.json"
    known = _remembered(memory)
    if key in known and known[key][:2] == stamp:
        return str(known[key][2])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    write_json(memory, _remembered(memory) | {key: [*stamp, digest]})
    return digest


def files_digest(paths: Sequence[Path]) -> str:
    """One hash of several files, by their contents in the order of their names."""
    ordered = sorted(paths, key=lambda path: path.name)
    if len(ordered) == 1:
        return file_digest(ordered[0])
    joined = "".join(file_digest(path) for path in ordered)
    return hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()


TOKENIZER_FILES = ("tokenizer*", "*.model", "vocab*", "merges*", "special_tokens_map.json", "chat_template*")


def tokenizer_digest(folder: Path) -> str:
    """One hash of the tokenizer's files in a model's folder, its chat template included."""
    return files_digest(sorted({path for pattern in TOKENIZER_FILES for path in folder.glob(pattern)}))


def _remembered(memory: Path) -> dict[str, list[int | str]]:
    try:
        known: dict[str, list[int | str]] = read_json(memory)
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return known
