"""Axolotl's data sets: a list with a path and a type each, as sources of rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.data.formats._chat import MESSAGE_ROLES, SHAREGPT_ROLES
from luthier.errors import ConfigError
from luthier.importing import _hub as hub
from luthier.importing import _training as training
from luthier.importing._translation import Translation, joined

ROWS = {
    ".json": "json",
    ".jsonl": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".txt": "text",
}
"""Endings of files of rows, and what their reader is called."""

READERS = {*ROWS.values(), "arrow"}
"""Paths that only say how `data_files` are read."""

TEMPLATES = {"tokenizer_default": "chat", "chatml": "chatml", "alpaca": "alpaca"}
"""Their templates that Luthier has."""

WRITTEN = {"alpaca": "alpaca", "chatml": "chatml", "llama3": "llama3"}
"""Types of rows that are always written by one template."""

CHATS = ("chat_template", "sharegpt")
"""Types of rows that are written by the template that is named."""

PAIR_TEMPLATES = ("chatml", "llama3")

PAIRS = {
    **dict.fromkeys(("", "default", "argilla_chat", "prompt_pairs", "ultra"), "prompt"),
    "icr": "input",
    "intel": "question",
}
"""Layouts of pairs, which stand behind these templates in types such as chatml.intel, and the column of the prompt."""

PAIR_FORMATS = ("prompt_format", "chosen_format", "rejected_format")


class _Entry:
    """A data set as it is written there. Keys that nobody asks for are named.

    Args:
        given: its keys.
        everywhere: the template that is named for all data sets.
    """

    def __init__(self, given: Mapping[str, Any], everywhere: Any) -> None:
        self._given, self._asked, self._everywhere = given, {"type"}, everywhere
        self.kind = given.get("type")
        self.family, _, self.layout = str(self.kind or "").partition(":")[0].partition(".")
        self.template = self._template()
        """The one that its rows are written by, as Axolotl names it; None for rows that need none."""

    def _template(self) -> str | None:
        if self.family in CHATS:
            return str(self.get("chat_template") or self._everywhere or "tokenizer_default")
        return WRITTEN.get(self.family)

    def get(self, key: str, default: Any = None) -> Any:
        """A key's value, the default where it has none."""
        self._asked.add(key)
        value = self._given.get(key)
        return default if value in (None, "") else value

    def mapping(self, key: str) -> Mapping[str, Any]:
        """A key's value, which is a mapping.

        Raises:
            ConfigError: it is none.
        """
        value = self.get(key, {})
        if not isinstance(value, Mapping):
            raise ConfigError(f"{key} of a data set is {value!r}", where="datasets", expected="a mapping")
        return value

    def left(self) -> str:
        """What to know about the keys that nobody asked for."""
        left = [key for key, value in self._given.items() if key not in self._asked and value not in (None, "", False)]
        return f"no equivalent: {', '.join(sorted(left))}" if left else ""

    def rewritten(self, ours: str) -> str:
        """What to know about its template when all rows have Luthier's template `ours`."""
        if self.template in (None, self._everywhere) or TEMPLATES.get(str(self.template)) == ours:
            return ""
        return f"its template {self.template} becomes data.template: {ours}"


def sources(translation: Translation, file: Path) -> None:
    """The rows to train on and to validate on, and the template that their types imply."""
    template, pairs = translation.get("chat_template"), translation.has("rl")
    key = "datasets" if translation.has("datasets") else "pretraining_dataset"
    kind = {} if key == "datasets" else {"type": "pretrain"}
    train, test = (
        [_Entry(more | each, template) for each in _mappings(translation.get(name))]
        for name, more in ((key, kind), ("test_datasets", {}))
    )
    if not train:
        raise ConfigError("it names no data set", where=str(file), expected="datasets: [{path: ..., type: ...}]")
    ours = _template(translation, train)
    _put(translation, key, "data.train", [_source(entry, "train", ours, pairs=pairs) for entry in train])
    if test:
        split = "train" if pairs else "test"
        found = [_source(entry, split, ours, pairs=pairs) for entry in test]
        _put(translation, "test_datasets", "data.validation", found)
    translation.explain("none", {"chat_template_jinja": "put it into data.template"})
    translation.put("data.clean", [])
    training.held_out(translation, "val_set_size", given=bool(test))


def _mappings(value: Any) -> list[dict[str, Any]]:
    entries = _listed(value) if value else []
    return [dict(entry) if isinstance(entry, Mapping) else {"path": str(entry)} for entry in entries]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _put(translation: Translation, key: str, path: str, found: list[tuple[dict[str, Any], str]]) -> None:
    translation.put(path, [source for source, _ in found])
    ours = f"{path}: {', '.join(source['path'] for source, _ in found)}"
    notes = [f"{source['path']}: {note}" for source, note in found if note]
    translation.say(key, "differs" if notes else "same", ours, "; ".join(notes))


def _source(entry: _Entry, split: str, template: str, *, pairs: bool) -> tuple[dict[str, Any], str]:
    """A data set as a source of rows, and what to know about it.

    Args:
        entry: the data set.
        split: which one is read of a data set of the hub that names none.
        template: the one that all rows are written by.
        pairs: whether its rows are pairs of answers.
    """
    place, where = _place(entry, split)
    form, columns, note = _pairs(entry) if pairs else _layout(entry)
    notes = (where, note, entry.rewritten(template), entry.left())
    return place | {"format": form, "columns": columns}, joined(*notes)


def _place(entry: _Entry, split: str) -> tuple[dict[str, Any], str]:
    """Where its rows are, and what to know about that."""
    path, files, reader = str(entry.get("path", "")), entry.get("data_files"), entry.get("ds_type")
    part = str(entry.get("split", split))
    if files and (path in READERS or not path or Path(path).is_dir()):
        path, *rest = map(str, _listed(files))
        more = f"{len(rest)} more data_files: add a source for each" if rest else ""
    elif not _ending(path) and not Path(path).exists() and hub.NAME.fullmatch(path):
        revision, some = entry.get("revision"), "data_files have no equivalent: all are read" if files else ""
        source, note = hub.source(f"{path}@{revision}" if revision else path, entry.get("name"), part)
        return source, joined(some, note)
    else:
        here = path and (_ending(path) or Path(path).exists())
        more = "" if here else "there is no such file; save the rows as one and put its path here"
    odd = reader and _ending(path) and ROWS.get(_ending(path)) != reader
    named = f"ds_type {reader} has no equivalent: the name's ending says how it is read" if odd else ""
    cut = "" if part == split else hub.not_taken(part)
    return {"path": path}, joined(more, named, cut)


def _ending(path: str) -> str:
    """A name's ending where it is that of a file of rows, packed or not."""
    ending = Path(path.removesuffix(".gz")).suffix
    return ending if ending in ROWS else ""


def _layout(entry: _Entry) -> tuple[str, dict[str, str], str]:
    """(format, columns that are not called by their role, what to know)."""
    if isinstance(entry.kind, Mapping):
        return _custom(entry.kind)
    own = f"type '{entry.kind}' has a prompt of its own: look at the rows with `luthier inspect`"
    if entry.family == "alpaca":
        return "alpaca", {}, "" if entry.kind in ("alpaca", "alpaca:instruct") else own
    if entry.family == "completion":
        return "text", _renamed({"text": str(entry.get("field", "text"))}), ""
    if entry.family == "pretrain":
        return "text", _renamed({"text": str(entry.get("text_column", "text"))}), ""
    return _turns(entry) if entry.family in CHATS else ("auto", {}, own)


def _turns(entry: _Entry) -> tuple[str, dict[str, str], str]:
    shared = entry.family == "sharegpt"
    column = str(entry.get("field_messages", "conversations" if shared else "messages"))
    tools = {"tools": str(entry.get("field_tools", "tools"))}
    keys, note = _speakers(entry, ("from", "value") if shared else ("role", "content"))
    if keys == ("from", "value"):
        system = {"system": str(entry.get("field_system", "system"))}
        return "sharegpt", _renamed({"conversations": column} | tools | system), note
    return "messages", _renamed({"messages": column} | tools), note


def _speakers(entry: _Entry, usual: tuple[str, str]) -> tuple[tuple[str, str], str]:
    """What the keys of a turn are called, and what to know about them and about the names of who speaks."""
    mapping = entry.mapping("message_property_mappings")
    role = mapping.get("role", entry.get("message_field_role", usual[0]))
    content = mapping.get("content", entry.get("message_field_content", usual[1]))
    keys = (str(role), str(content))
    table = SHAREGPT_ROLES if keys == ("from", "value") else MESSAGE_ROLES
    theirs = {str(name): target for target, names in entry.mapping("roles").items() for name in _listed(names)}
    unknown = [name for name, target in theirs.items() if table.get(name.casefold()) != target]
    odd = keys not in (("role", "content"), ("from", "value"))
    notes = (
        f"turns have '{role}' and '{content}': rename them to role and content in the rows" if odd else "",
        f"the roles {', '.join(unknown)} are not known: rename them in the rows" if unknown else "",
    )
    return keys, joined(*notes)


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


def _pairs(entry: _Entry) -> tuple[str, dict[str, str], str]:
    """A better and a worse answer behind one prompt."""
    if isinstance(entry.kind, Mapping):
        named = {role: entry.kind.get(f"field_{role}") for role in ("prompt", "chosen", "rejected", "system")}
        own = [key for key in PAIR_FORMATS if entry.kind.get(key)]
        note = f"its {', '.join(own)}: write data.template like them" if own else _bare("type")
        return "preference", _renamed({role: str(column) for role, column in named.items() if column}), note
    columns = {role: str(entry.get(f"field_{role}", role)) for role in ("chosen", "rejected")}
    if entry.family == "chat_template" and entry.layout in ("", "default"):
        _, note = _speakers(entry, ("role", "content"))
        return "preference", _renamed(columns | {"prompt": str(entry.get("field_messages", "messages"))}), note
    if entry.family == "chat_template" and entry.layout == "argilla_chat":
        return "preference", _renamed(columns), _speakers(entry, ("role", "content"))[1]
    if entry.family in PAIR_TEMPLATES and entry.layout in PAIRS:
        return "preference", _renamed(columns | {"prompt": PAIRS[entry.layout]}), ""
    own_way = f"type '{entry.kind}' has a layout of its own: look at the rows with `luthier inspect`"
    return "preference", _renamed(columns), own_way if entry.kind else _bare("data set")


def _bare(what: str) -> str:
    return f"a {what} without formats learns its texts as they are; here data.template is written around them"


def _renamed(columns: Mapping[str, str]) -> dict[str, str]:
    """Only the columns that have another name than their role."""
    return {role: column for role, column in columns.items() if column != role}


def _template(translation: Translation, entries: list[_Entry]) -> str:
    """The template of all rows: the one by which the first of them are written."""
    named = translation.get("chat_template")
    first = next((entry for entry in entries if entry.template), None)
    if first is None:
        translation.explain("nothing", {"chat_template": "rows of such types have no template"})
        return "chat"
    ours = TEMPLATES.get(str(first.template), "chat")
    translation.put("data.template", ours)
    if named is None and ours != "chat" and first.family in WRITTEN:
        translation.differs("chat_template", "data.template", ours, f"as rows of type {first.family} have it")
    elif named not in [entry.template for entry in entries]:
        translation.explain("nothing", {"chat_template": "rows of such types have a template of their own"})
    elif TEMPLATES.get(named) == ours:
        translation.same("chat_template", "data.template", ours)
    else:
        kind = "the model's own chat template" if ours == "chat" else ours
        note = f"{kind} in place of theirs for '{named}'; `luthier inspect` shows it"
        translation.differs("chat_template", "data.template", ours, note)
    return ours
