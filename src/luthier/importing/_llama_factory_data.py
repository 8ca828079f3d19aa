"""LLaMA-Factory's data sets: names that dataset_info.json explains, as sources of rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.errors import ConfigError
from luthier.importing import _training as training
from luthier.importing._translation import Translation

INFO = "dataset_info.json"

ALPACA = {"prompt": "instruction", "query": "input", "response": "output", "system": "system", "history": "history"}
"""Their columns of an Alpaca row, by the roles they have here."""

SHAREGPT = {"messages": "conversations", "system": "system", "tools": "tools"}

PAIRS = {"prompt": "prompt", "query": "input", "chosen": "chosen", "rejected": "rejected", "system": "system"}

DEFAULTS = {"prompt": "instruction", "query": "input", "response": "output", "messages": "conversations"}
"""Columns that a data set has when its entry names none."""

MEDIA = ("images", "videos", "audios")


def sources(translation: Translation, stage: str, file: Path) -> None:
    """The rows to train on and to validate on."""
    folder, known = _catalogue(translation, file)
    train, validation = _names(translation.get("dataset")), _names(translation.get("eval_dataset"))
    if not train and not validation:
        raise ConfigError("it names no data set", where=str(file), expected="dataset: NAME,NAME")
    for key, names, path in (("dataset", train, "data.train"), ("eval_dataset", validation, "data.validation")):
        found = [_source(name, stage, folder, known) for name in names]
        if found:
            translation.put(path, [source for source, _ in found])
            notes = [note for _, note in found if note]
            fate = "differs" if notes else "same"
            ours = f"{path}: {', '.join(source['path'] for source, _ in found)}"
            translation.say(key, "differs" if fate == "differs" else "same", ours, "; ".join(notes))
    if not train:
        rows = translation.values["data"].pop("validation")
        translation.put("data.train", rows)
        translation.explain("none", {"do_predict": "the file trains nothing: put your training rows into data.train"})
    translation.explain("nothing", {"do_predict": "the test rows are asked after training"})
    translation.put("data.clean", [])
    training.held_out(translation, "val_size", given=bool(train and validation))
    _limit(translation, len(train) or len(validation))


def _limit(translation: Translation, sets: int) -> None:
    if not translation.has("max_samples"):
        return
    most = int(translation.get("max_samples"))
    if sets > 1:
        note = f"theirs is for each of {sets} data sets, ours for all rows together"
        translation.differs("max_samples", "data.limit", most * sets, note)
    else:
        translation.same("max_samples", "data.limit", most)


def _catalogue(translation: Translation, file: Path) -> tuple[Path, Mapping[str, Any]]:
    """The folder of the data sets and what is known of them; the folder is looked for from the file upwards."""
    named = translation.get("dataset_dir", "data")
    if isinstance(named, Mapping):
        translation.explain("same", {"dataset_dir": "the entries that stand there"})
        return Path("data"), named
    places = [Path.cwd(), *file.resolve().parents]
    folder = next((place / named for place in places if (place / named / INFO).is_file()), None)
    if folder is None:
        translation.explain("none", {"dataset_dir": f"there is no {INFO}"})
        return Path(named), {}
    translation.explain("same", {"dataset_dir": f"{INFO} says what the data sets are"})
    known: Mapping[str, Any] = json.loads((folder / INFO).read_text(encoding="utf-8"))
    return folder, known


def _names(value: Any) -> list[str]:
    names = value if isinstance(value, list) else str(value or "").split(",")
    return [str(name).strip() for name in names if str(name).strip()]


def _source(name: str, stage: str, folder: Path, known: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A data set as a source of rows, and what to know about it."""
    entry = known.get(name)
    if entry is None:
        return {"path": str(folder / f"{name}.json")}, f"{name}: not in {INFO}; put the path of its rows here"
    form, columns, note = _layout(entry, stage)
    source = {"path": _path(entry, folder), "format": form, "columns": columns}
    away = "" if "file_name" in entry else f"{name}: a data set of a hub; save its rows as a file and put its path here"
    cut = f"{name}: num_samples {entry['num_samples']} has no equivalent" if entry.get("num_samples") else ""
    return source, "; ".join(filter(None, (away, note and f"{name}: {note}", cut)))


def _path(entry: Mapping[str, Any], folder: Path) -> str:
    if "file_name" in entry:
        return str(folder / entry["file_name"])
    return str(
        next((entry[key] for key in ("hf_hub_url", "ms_hub_url", "cloud_file_name") if key in entry), "rows.json")
    )


def _layout(entry: Mapping[str, Any], stage: str) -> tuple[str, dict[str, str], str]:
    """(format, columns that are not called by their role, what to know)."""
    named: Mapping[str, str] = entry.get("columns") or {}
    form = entry.get("formatting", "alpaca")
    media = [key for key in MEDIA if named.get(key)]
    note = f"{', '.join(media)} are left out: rows are text" if media else ""
    if stage == "pt":
        column = named.get("prompt", "instruction" if not named else "text")
        return "text", _renamed({"text": column}), note
    if entry.get("ranking"):
        prompt = named.get("messages", "conversations") if form != "alpaca" else named.get("prompt", "instruction")
        columns = {ours: named[theirs] for theirs, ours in PAIRS.items() if theirs in named} | {"prompt": prompt}
        return "preference", _renamed(columns), note
    if form == "alpaca":
        columns = {ours: named.get(theirs, DEFAULTS.get(theirs, "")) for theirs, ours in ALPACA.items()}
        return "alpaca", _renamed(columns), note
    columns = {ours: named.get(theirs, DEFAULTS.get(theirs, "")) for theirs, ours in SHAREGPT.items()}
    tags: Mapping[str, str] = entry.get("tags") or {}
    if form == "openai" or tags.get("role_tag") == "role":
        turns = {"messages": columns["conversations"], "tools": columns["tools"]}
        return "messages", _renamed(turns), note
    names = {tags.get("user_tag", "human"), tags.get("assistant_tag", "gpt")}
    if names - {"human", "user", "gpt", "assistant"} or tags.get("content_tag", "value") != "value":
        note = "; ".join(filter(None, (note, "its own names of roles are not known: rename them in the rows")))
    return "sharegpt", _renamed(columns), note


def _renamed(columns: Mapping[str, str]) -> dict[str, str]:
    """Only the columns that have another name than their role."""
    return {role: column for role, column in columns.items() if column and column != role}
