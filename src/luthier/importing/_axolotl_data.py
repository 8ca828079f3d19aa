"""Axolotl's data sets: a list with a path and a type each, as sources of rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.errors import ConfigError
from luthier.importing import _training as training
from luthier.importing._translation import Translation

ROWS = {".json", ".jsonl", ".csv", ".tsv", ".parquet", ".txt", ".gz"}
"""Endings of files of rows; anything else that is not there is the name of a data set of the hub."""

READERS = {"json", "csv", "parquet", "text", "arrow"}
"""Paths that only say how `data_files` are read."""

KNOWN = {
    "path", "type", "data_files", "ds_type", "split", "field", "field_messages", "field_chosen", "field_rejected",
    "message_property_mappings", "message_field_role", "message_field_content", "roles", "field_system", "field_tools",
    "chat_template", "name", "text_column",
}  # fmt: skip
"""Keys of a data set that are looked at; others are named."""

OWN_TEMPLATES = {"tokenizer_default", "chatml", "alpaca"}


def sources(translation: Translation, file: Path) -> None:
    """The rows to train on and to validate on, and the template that their types imply."""
    train = _listed(translation.get("datasets")) or [
        {"type": "completion", "field": each.get("text_column", "text")} | each
        for each in _listed(translation.get("pretraining_dataset"))
    ]
    if not train:
        raise ConfigError("it names no data set", where=str(file), expected="datasets: [{path: ..., type: ...}]")
    pairs = translation.has("rl")
    key = "datasets" if translation.has("datasets") else "pretraining_dataset"
    _put(translation, key, "data.train", train, pairs=pairs)
    test = _listed(translation.get("test_datasets"))
    if test:
        _put(translation, "test_datasets", "data.validation", test, pairs=pairs)
    translation.put("data.clean", [])
    training.held_out(translation, "val_set_size", given=bool(test))
    _template(translation, train)


def _listed(value: Any) -> list[dict[str, Any]]:
    entries = value if isinstance(value, list) else [value] if value else []
    return [dict(entry) if isinstance(entry, Mapping) else {"path": str(entry)} for entry in entries]


def _put(translation: Translation, key: str, path: str, entries: list[dict[str, Any]], *, pairs: bool) -> None:
    found = [_source(entry, pairs=pairs) for entry in entries]
    translation.put(path, [source for source, _ in found])
    ours = f"{path}: {', '.join(source['path'] for source, _ in found)}"
    notes = [note for _, noted in found for note in noted]
    translation.say(key, "differs" if notes else "same", ours, "; ".join(notes))


def _source(entry: Mapping[str, Any], *, pairs: bool) -> tuple[dict[str, Any], list[str]]:
    """A data set as a source of rows, and what to know about it."""
    path, notes = _path(entry)
    form, columns, note = _pairs(entry) if pairs else _layout(entry)
    left = sorted(set(entry) - KNOWN)
    notes += [note] if note else []
    notes += [f"{path}: {', '.join(left)} have no equivalent"] if left else []
    return {"path": path, "format": form, "columns": columns}, notes


def _path(entry: Mapping[str, Any]) -> tuple[str, list[str]]:
    path, files = str(entry.get("path", "")), entry.get("data_files")
    if files and (path in READERS or not path):
        first, *rest = files if isinstance(files, list) else [files]
        return str(first), [f"{first}: {len(rest)} more data_files: add a source for each"] if rest else []
    local = Path(path).suffix in ROWS or Path(path).exists()
    return path, [] if local else [f"{path}: a data set of the hub; save its rows as a file and put its path here"]


def _layout(entry: Mapping[str, Any]) -> tuple[str, dict[str, str], str]:
    """(format, columns that are not called by their role, what to know)."""
    kind = entry.get("type")
    if isinstance(kind, Mapping):
        return _custom(kind)
    name = str(kind or "").partition(":")[0].partition(".")[0]
    if name == "alpaca":
        return "alpaca", {}, ""
    if name == "completion":
        return "text", _renamed({"text": str(entry.get("field") or "text")}), ""
    if name in ("chat_template", "sharegpt"):
        return _turns(entry, name)
    return "auto", {}, f"type '{kind}' has a prompt of its own: look at the rows with `luthier inspect`"


def _turns(entry: Mapping[str, Any], kind: str) -> tuple[str, dict[str, str], str]:
    mapping = entry.get("message_property_mappings") or {}
    role = mapping.get("role", entry.get("message_field_role", "from" if kind == "sharegpt" else "role"))
    content = mapping.get("content", entry.get("message_field_content", "value" if kind == "sharegpt" else "content"))
    column = str(entry.get("field_messages") or ("conversations" if kind == "sharegpt" else "messages"))
    tools = {"tools": str(entry["field_tools"])} if entry.get("field_tools") else {}
    if (role, content) == ("from", "value"):
        system = {"system": str(entry["field_system"])} if entry.get("field_system") else {}
        return "sharegpt", _renamed({"conversations": column} | tools | system), ""
    odd = (role, content) != ("role", "content")
    note = f"turns have '{role}' and '{content}': rename them to role and content in the rows" if odd else ""
    return "messages", _renamed({"messages": column} | tools), note


def _custom(kind: Mapping[str, Any]) -> tuple[str, dict[str, str], str]:
    """A type written out: fields and a prompt of its own."""
    fields = {
        "instruction": kind.get("field_instruction"),
        "input": kind.get("field_input"),
        "output": kind.get("field_output"),
        "system": kind.get("field_system"),
    }
    own = [key for key in ("format", "no_input_format", "system_prompt", "system_format") if kind.get(key)]
    note = f"its {', '.join(own)}: write data.template and data.system like them" if own else ""
    return "alpaca", _renamed({role: str(field) for role, field in fields.items() if field}), note


def _pairs(entry: Mapping[str, Any]) -> tuple[str, dict[str, str], str]:
    """A better and a worse answer behind one prompt."""
    fields: Mapping[str, Any] = entry["type"] if isinstance(entry.get("type"), Mapping) else entry
    columns = {
        "prompt": fields.get("field_messages") or fields.get("field_prompt"),
        "chosen": fields.get("field_chosen"),
        "rejected": fields.get("field_rejected"),
        "system": fields.get("field_system"),
    }
    return "preference", _renamed({role: str(column) for role, column in columns.items() if column}), ""


def _renamed(columns: Mapping[str, str]) -> dict[str, str]:
    """Only the columns that have another name than their role."""
    return {role: column for role, column in columns.items() if column != role}


def _template(translation: Translation, entries: list[dict[str, Any]]) -> None:
    """The template that is named, or that the types of the rows imply."""
    kinds = {str(entry.get("type") or "").partition(":")[0].partition(".")[0] for entry in entries}
    named = translation.get("chat_template") or next(
        (e["chat_template"] for e in entries if "chat_template" in e), None
    )
    if named in OWN_TEMPLATES:
        ours = "chat" if named == "tokenizer_default" else str(named)
        translation.put("data.template", ours)
        translation.explain("same", {"chat_template": f"data.template: {ours}"})
    elif named is not None:
        note = f"the model's own chat template in place of theirs for '{named}'; `luthier inspect` shows it"
        translation.differs("chat_template", "data.template", "chat", note)
    elif "alpaca" in kinds:
        others = sorted(kinds - {"alpaca"})
        note = f"rows of type {', '.join(others)} get it too" if others else "as rows of type alpaca have it"
        translation.differs("chat_template", "data.template", "alpaca", note)
    translation.explain("none", {"chat_template_jinja": "put it into data.template"})
