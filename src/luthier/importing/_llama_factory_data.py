"""LLaMA-Factory's data sets: names that dataset_info.json explains, as sources of rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from luthier.data.formats._chat import CALL, MESSAGE_ROLES, SHAREGPT_ROLES
from luthier.errors import ConfigError
from luthier.importing import _hub as hub
from luthier.importing import _training as training
from luthier.importing._translation import Translation, joined

INFO = "dataset_info.json"

ALPACA = {"prompt": "instruction", "query": "input", "response": "output", "system": "system", "history": "history"}
"""Their columns of an Alpaca row, by the roles they have here."""

SHAREGPT = {"messages": "conversations", "system": "system", "tools": "tools"}

PAIRS = {"prompt": "prompt", "query": "input", "chosen": "chosen", "rejected": "rejected", "system": "system"}

DEFAULTS = {"prompt": "instruction", "query": "input", "response": "output", "messages": "conversations"}
"""Columns that a data set has when its entry names none."""

AWAY = {
    "ms_hub_url": "a data set of ModelScope",
    "om_hub_url": "a data set of openMind",
    "script_url": "a script writes its rows",
    "cloud_file_name": "a file in a cloud",
}
"""Where rows are that Luthier does not read."""

MEDIA = ("images", "videos", "audios")

TAGS = {"user": "user", "assistant": "assistant", "observation": "tool", "system": "system"}
"""Who speaks, by what the tags of a data set call it: user_tag and so on."""


def sources(translation: Translation, stage: str, file: Path) -> None:
    """The rows to train on and to validate on."""
    train, validation = _names(translation.get("dataset")), _names(translation.get("eval_dataset"))
    folder, known = _catalogue(translation, file, [*train, *validation])
    if not train and not validation:
        raise ConfigError("it names no data set", where=str(file), expected="dataset: NAME,NAME")
    for key, names, path in (("dataset", train, "data.train"), ("eval_dataset", validation, "data.validation")):
        found = [_source(name, stage, folder, known) for name in names]
        if found:
            translation.put(path, [source for source, _ in found])
            notes = [f"{name}: {note}" for name, (_, note) in zip(names, found, strict=True) if note]
            ours = f"{path}: {', '.join(source['path'] for source, _ in found)}"
            translation.say(key, "differs" if notes else "same", ours, "; ".join(notes))
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
    most = translation.whole("max_samples", 0)
    if sets > 1:
        note = f"theirs is for each of {sets} data sets, ours for all rows together"
        translation.differs("max_samples", "data.limit", most * sets, note)
    else:
        translation.same("max_samples", "data.limit", most)


def _catalogue(translation: Translation, file: Path, names: list[str]) -> tuple[Path, Mapping[str, Any]]:
    """The folder of the data sets and what is known of them; the folder is looked for from the file upwards."""
    named = translation.get("dataset_dir", "data")
    if isinstance(named, Mapping):
        translation.explain("same", {"dataset_dir": "the entries that stand there"})
        return Path("data"), named
    if named == "ONLINE":
        translation.explain("same", {"dataset_dir": "the data sets are those of the hub"})
        return Path("data"), {name: {"hf_hub_url": name} for name in names}
    places = [Path.cwd(), *file.resolve().parents]
    folder = next((place / named for place in places if (place / named / INFO).is_file()), None)
    if folder is None:
        translation.explain("none", {"dataset_dir": f"there is no {INFO}"})
        return Path(named), {}
    translation.explain("same", {"dataset_dir": f"{INFO} says what the data sets are"})
    return folder, _read(folder / INFO)


def _read(file: Path) -> Mapping[str, Any]:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"not valid JSON: {error}", where=str(file)) from error
    if not isinstance(known, Mapping) or not all(isinstance(entry, Mapping) for entry in known.values()):
        raise ConfigError("it does not say what the data sets are", where=str(file), expected='{"NAME": {...}, ...}')
    return known


def _names(value: Any) -> list[str]:
    names = value if isinstance(value, list) else str(value or "").split(",")
    return [str(name).strip() for name in names if str(name).strip()]


def _source(name: str, stage: str, folder: Path, known: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A data set as a source of rows, and what to know about it."""
    entry = known.get(name)
    if entry is None:
        return {"path": str(folder / f"{name}.json")}, f"not in {INFO}; put the path of its rows here"
    place, where = _place(entry, folder)
    form, columns, note = _layout(entry, stage)
    cut = f"num_samples {entry['num_samples']} has no equivalent" if entry.get("num_samples") else ""
    return place | {"format": form, "columns": columns}, joined(where, note, cut)


def _place(entry: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], str]:
    """Where its rows are, and what to know about that."""
    split = str(entry.get("split") or "train")
    if "hf_hub_url" in entry:
        source, note = hub.source(str(entry["hf_hub_url"]), entry.get("subset"), split)
        part = f"folder '{entry['folder']}' has no equivalent: all files are read" if entry.get("folder") else ""
        return source, joined(note, part)
    away = next((key for key in AWAY if key in entry), None)
    if away or "file_name" not in entry:
        note = f"{AWAY.get(away or '', 'it names no file')}; save its rows as a file and put its path here"
        return {"path": str(entry.get(away or "", "rows.json"))}, note
    return {"path": str(folder / str(entry["file_name"]))}, hub.not_taken(split)


def _layout(entry: Mapping[str, Any], stage: str) -> tuple[str, dict[str, str], str]:
    """(format, columns that are not called by their role, what to know)."""
    named: Mapping[str, str] = entry.get("columns") or {}
    tags: Mapping[str, str] = entry.get("tags") or {}
    shared = entry.get("formatting", "alpaca") != "alpaca"
    as_messages = entry.get("formatting") == "openai" or tags.get("role_tag") == "role"
    if stage == "pt":
        column = named.get("prompt", "instruction" if not named else "text")
        return "text", _renamed({"text": column}), _left_out(named, MEDIA)
    speakers = _speakers(tags, as_messages=as_messages) if shared else ""
    if entry.get("ranking"):
        prompt = named.get("messages", "conversations") if shared else named.get("prompt", "instruction")
        columns = {ours: named[theirs] for theirs, ours in PAIRS.items() if theirs in named} | {"prompt": prompt}
        return "preference", _renamed(columns), joined(_left_out(named, (*MEDIA, "tools", "history")), speakers)
    table = SHAREGPT if shared else ALPACA
    columns = {ours: named.get(theirs, DEFAULTS.get(theirs, "")) for theirs, ours in table.items()}
    if not shared:
        return "alpaca", _renamed(columns), _left_out(named, (*MEDIA, "tools"))
    if as_messages:
        turns = {"messages": columns["conversations"], "tools": columns["tools"]}
        return "messages", _renamed(turns), joined(_left_out(named, (*MEDIA, "system")), speakers)
    return "sharegpt", _renamed(columns), joined(_left_out(named, MEDIA), speakers)


def _left_out(named: Mapping[str, str], roles: Iterable[str]) -> str:
    """What to know about the columns that a format has no place for."""
    left = [role for role in roles if named.get(role)]
    return f"columns that are left out: {', '.join(left)}" if left else ""


def _speakers(tags: Mapping[str, str], *, as_messages: bool) -> str:
    """What to know about the names of a turn's keys and of who speaks."""
    keys, roles = (("role", "content"), MESSAGE_ROLES) if as_messages else (("from", "value"), SHAREGPT_ROLES)
    usual = {"role_tag": keys[0], "content_tag": keys[1], "function_tag": CALL}
    unknown = [tags[tag] for tag, name in usual.items() if tags.get(tag, name) != name]
    who = {tags[f"{name}_tag"]: target for name, target in TAGS.items() if f"{name}_tag" in tags}
    unknown += [name for name, target in who.items() if roles.get(name.casefold()) != target]
    return f"turns have {', '.join(unknown)}, which is not known here: rename it in the rows" if unknown else ""


def _renamed(columns: Mapping[str, str]) -> dict[str, str]:
    """Only the columns that have another name than their role."""
    return {role: column for role, column in columns.items() if column and column != role}
