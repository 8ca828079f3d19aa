"""What a person reads about a wrong configuration: the place, the key, what is wrong, the nearest right name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from luthier.config.overrides import Keys, dotted
from luthier.config.run import RunConfig
from luthier.registry import suggest

# Pydantic's kinds of error as what would have been right; {…} are filled from the error's context.
_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number that is not infinite",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "literal_error": "{expected}",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "a number below {lt}",
    "less_than_equal": "{le} or less",
    "too_short": "at least {min_length} item",
}


@dataclass(frozen=True)
class Document:
    """A configuration as it was read, to say where an error stands.

    Attributes:
        source: what the file is called.
        tree: its YAML, overrides included.
        origins: which keys were set by which override.
    """

    source: str
    tree: CommentedMap
    origins: Mapping[Keys, str]

    def where(self, keys: Keys) -> str:
        """The override that set the key, or file:line:column of the last of the keys that stands in the file."""
        for origin, override in self.origins.items():
            if keys[: len(origin)] == origin:
                return f"--set {override}"
        place, found = self.place(keys)
        if found < len(keys):
            for origin, override in self.origins.items():
                if origin[: len(keys)] == keys:
                    return f"--set {override}"
        return f"{self.source}:{place[0]}:{place[1]}" if place else self.source

    def place(self, keys: Keys) -> tuple[tuple[int, int] | None, int]:
        """Line and column, from 1, of the last of the keys that stands in the file, and how many of them do."""
        node: Any = self.tree
        place = None
        for found, key in enumerate(keys):
            positions = getattr(node.lc, "data", None) if isinstance(node, CommentedMap | CommentedSeq) else None
            if not positions or key not in positions:
                return place, found
            place = (positions[key][0] + 1, positions[key][1] + 1)
            node = node[key]
        return place, len(keys)


@dataclass(frozen=True)
class _Spot:
    """Where an error stands: its keys in the file, and the model that the last one belongs to (None inside a dict)."""

    keys: Keys
    owner: type[BaseModel] | None


def explain(error: ValidationError, document: Document) -> list[str]:
    """One line for each wrong key, in the order of the file."""
    grouped: dict[Keys, tuple[_Spot, list[Any]]] = {}
    for detail in error.errors():
        spot = _locate(detail["loc"], document.tree)
        grouped.setdefault(spot.keys, (spot, []))[1].append(detail)
    end = (10**9, 0)
    ordered = sorted(grouped.values(), key=lambda item: document.place(item[0].keys)[0] or end)
    return [
        f"{document.where(spot.keys)}: {dotted(spot.keys) or 'configuration'}: {_reason(spot, details)}"
        for spot, details in ordered
    ]


def _locate(location: Sequence[str | int], tree: Any) -> _Spot:
    """Walks the models and the file together, since pydantic's location also names the members of unions."""
    keys: Keys = ()
    models: list[type[BaseModel]] = [RunConfig]
    owner: type[BaseModel] | None = None
    node = tree
    for step in location:
        tagged = [model for model in models if tag(model) == step]
        if len(models) > 1 and tagged:
            models = tagged
            continue
        model = models[0] if len(models) == 1 else None
        if isinstance(step, int):
            pass
        elif model and step in model.model_fields:
            owner, models = model, models_in(model.model_fields[step].annotation)
        elif isinstance(node, Mapping) and step in node:
            owner, models = model, []
        else:
            continue  # a member of a union of plain types, such as int
        keys = (*keys, step)
        node = _child(node, step)
    return _Spot(keys, owner)


def _child(node: Any, key: str | int) -> Any:
    if isinstance(node, Mapping):
        return node.get(key)
    return node[key] if isinstance(node, list) and isinstance(key, int) and key < len(node) else None


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The pydantic models inside an annotation such as list[X] or a tagged union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in models_in(part)]


def tag(model: type[BaseModel]) -> str | None:
    """The name by which a union of plugins' options knows this one."""
    field = model.model_fields.get("name")
    return field.default if field and isinstance(field.default, str) else None


def _reason(spot: _Spot, details: Sequence[Any]) -> str:
    detail = details[0]
    match detail["type"]:
        case "extra_forbidden":
            return _unknown(spot)
        case "missing":
            return f"this key is required: {_description(spot)}"
        case "string_pattern_mismatch":
            return f"got {_shown(detail['input'])}, which does not fit: {_description(spot)}"
        case "union_tag_invalid":
            known = [name for name in re.findall(r"'([^']*)'", detail["ctx"]["expected_tags"]) if name]
            return f"there is no '{detail['ctx']['tag']}'; {_near(detail['ctx']['tag'], known)}"
        case "union_tag_not_found":
            return f"got {_shown(detail['input'])}, expected a name or {{name: ..., its options}}; {_names(spot)}"
        case "value_error":
            return str(detail["ctx"]["error"])
        case _:
            return _mismatch(details)


def _description(spot: _Spot) -> str:
    field = spot.owner.model_fields.get(str(spot.keys[-1])) if spot.owner else None
    return (field.description if field else None) or "a value"


def _unknown(spot: _Spot) -> str:
    key = str(spot.keys[-1])
    known = sorted(spot.owner.model_fields) if spot.owner else []
    elsewhere = [path for path in _paths(RunConfig) if path[-1] == key]
    if suggest(key, known) is None and len(elsewhere) == 1:
        return f"unknown key here; did you mean '{dotted(elsewhere[0])}'?"
    return f"unknown key; {_near(key, known)}"


def _paths(model: type[BaseModel], parents: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of the configuration that has one fixed place: what plugins own and what lists hold is left out."""
    for name, field in model.model_fields.items():
        yield (*parents, name)
        inner = models_in(field.annotation)
        if len(inner) == 1 and "list" not in str(field.annotation):
            yield from _paths(inner[0], (*parents, name))


def _near(wrong: str, known: list[str]) -> str:
    near = suggest(wrong, known)
    return f"did you mean '{near}'?" if near else f"known: {', '.join(known)}"


def _names(spot: _Spot) -> str:
    key = next(str(key) for key in reversed(spot.keys) if not isinstance(key, int))
    field = spot.owner.model_fields.get(key) if spot.owner else None
    known = [name for model in models_in(field.annotation) if (name := tag(model))] if field else []
    return f"known: {', '.join(known)}"


def _mismatch(details: Sequence[Any]) -> str:
    """Several details of one key are the members of a union: any of them would have been right."""
    value = details[0]["input"]
    phrases = [
        _EXPECTED.get(detail["type"], detail["msg"]).format(**{"expected": "", **detail.get("ctx", {})})
        for detail in details
    ]
    reason = f"got {_shown(value)}, expected {' or '.join(dict.fromkeys(phrases))}"
    choices = [name for phrase in phrases for name in re.findall(r"'([^']*)'", phrase)]
    near = suggest(value, choices) if isinstance(value, str) else None
    if near:
        return f"{reason}; did you mean '{near}'?"
    wants_text = any(detail["type"] == "string_type" for detail in details)
    if wants_text and not isinstance(value, dict | list) and value is not None:
        return f"{reason}; put it in quotes"
    return reason


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:59]}…"
