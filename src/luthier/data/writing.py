"""Prepared rows as files that people read and every tool takes: one JSON Lines file for each split."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path

from luthier.data.ledger import read_raw
from luthier.data.prepare import Prepared
from luthier.data.readable import readable
from luthier.data.splits import SPLITS
from luthier.data.tokenising import LEDGER
from luthier.errors import ConfigError
from luthier.runs.files import replacing_folder, write_json

ABOUT = "prepared.json"
"""The file of a preparation that says what it is."""

_CONFIG = "config.yaml"
_FILES = {ABOUT, LEDGER, _CONFIG, *(f"{split}.jsonl" for split in SPLITS)}

_to_json = json.JSONEncoder(ensure_ascii=False, default=str).encode


def write_preparation(prepared: Prepared, yaml: str, folder: Path) -> dict[str, int]:
    """Writes a folder with the rows of each split, the ledger, its summary and the configuration, whole or not at all.

    An earlier preparation in the folder is replaced.

    Returns:
        Rows by split.

    Raises:
        ConfigError: the folder holds something else, or is the one that the command runs in.
    """
    folder = folder.resolve()
    _check(folder)
    with replacing_folder(folder) as aside:
        counts = write_rows(prepared, aside)
        shutil.copyfile(prepared.ledger, aside / LEDGER)
        (aside / _CONFIG).write_text(yaml, encoding="utf-8")
        about = {"digest": prepared.digest, "labels": prepared.labels, "notes": prepared.notes, "rows": counts}
        write_json(aside / ABOUT, about | {"summary": prepared.summary.as_dict()})
    return counts


def _check(folder: Path) -> None:
    """Whether a folder may be replaced: it is new, empty, or holds an earlier preparation and nothing else."""
    here = Path.cwd()
    if folder in (here, *here.parents):
        found = f"'{folder}' is the folder that you are in, or above it: a preparation takes the place of its folder"
    elif folder.exists() and not folder.is_dir():
        found = f"'{folder}' is a file"
    elif strange := _strange(folder):
        found = f"'{folder}' holds something that is no preparation: {', '.join(strange[:3])}"
    else:
        return
    raise ConfigError(found, where="--out", expected="an empty or a new folder")


def _strange(folder: Path) -> list[str]:
    """Names in a folder that no preparation writes; all of them where it is none."""
    names = sorted(file.name for file in folder.iterdir()) if folder.exists() else []
    return [name for name in names if name not in _FILES] if ABOUT in names else names


def write_rows(prepared: Prepared, folder: Path) -> dict[str, int]:
    """Writes the rows that were kept as SPLIT.jsonl, each with its number in the ledger.

    Returns:
        How many rows each file has. A document that was split into pieces is one row.
    """
    counts = dict.fromkeys(SPLITS, 0)
    rows = (row for batch in prepared.examples.batches() for row in batch)
    with ExitStack() as stack:
        files = {
            split: stack.enter_context((folder / f"{split}.jsonl").open("w", encoding="utf-8")) for split in SPLITS
        }
        for entry, row in zip(read_raw(prepared.ledger), rows, strict=True):
            if entry.fate == "kept" and row.example is not None:
                files[entry.split].write(_to_json(readable(row.example) | {"row_id": entry.row_id}) + "\n")
                counts[entry.split] += 1
    return counts
