"""`--set training.epochs=1`: puts values into a configuration before it is validated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

Keys = tuple[str | int, ...]
"""Where a value stands: ("data", "train", 0, "path")."""

SOURCES = ("train", "validation", "test")
"""Keys below `data` where a bare text is short for {path: text}; elsewhere it is short for {name: text}."""


class _WrongOverride(Exception):
    """An override that names no place in this configuration; the message says why."""


def apply_overrides(tree: CommentedMap, overrides: Sequence[str]) -> tuple[dict[Keys, str], list[str]]:
    """Puts `key.path=value` overrides into a tree; values are YAML.

    Returns:
        Which keys were set by which override, and what is wrong with the ones that could not be put.
    """
    origins: dict[Keys, str] = {}
    problems: list[str] = []
    for override in overrides:
        try:
            origins[_put(tree, override)] = override
        except _WrongOverride as error:
            problems.append(f"--set {override}: {error}")
    return origins, problems


def dotted(keys: Sequence[str | int]) -> str:
    """Keys as people write them: data.train[0].path."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".")


def _put(tree: CommentedMap, override: str) -> Keys:
    path, separator, text = override.partition("=")
    parts = re.sub(r"\[(\d+)\]", r".\1", path.strip()).split(".")
    if not separator or not all(parts):
        raise _WrongOverride("expected KEY.PATH=VALUE, such as training.epochs=1")
    value = _value(text)
    node: Any = tree
    keys: Keys = ()
    for part in parts[:-1]:
        key = _key(node, part, keys)
        keys = (*keys, key)
        node = _child(node, key, keys)
    last = _key(node, parts[-1], keys)
    node[last] = value
    return (*keys, last)


def _key(node: Any, part: str, parents: Keys) -> str | int:
    if not isinstance(node, list):
        return part
    if not part.isdigit():
        raise _WrongOverride(f"{dotted(parents)} is a list; say which item, such as {dotted((*parents, 0))}.{part}")
    if int(part) >= len(node):
        raise _WrongOverride(f"{dotted(parents)} has no item {part}; it has {len(node)}, counted from 0")
    return int(part)


def _child(node: Any, key: str | int, keys: Keys) -> Any:
    child = node[int(key)] if isinstance(node, list) else node.get(key)
    if child is None:
        child = CommentedMap()
    elif isinstance(child, str):
        is_source = keys[0] == "data" and len(keys) > 1 and keys[1] in SOURCES
        child = CommentedMap({"path" if is_source else "name": str(child)})
    elif not isinstance(child, dict | list):
        raise _WrongOverride(f"{dotted(keys)} is a value ({child}) and has no keys of its own")
    node[key] = child
    return child


def _value(text: str) -> Any:
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise _WrongOverride("the value is not YAML; put it in quotes if it is text") from error
    # "Choose: a or b" is text for whoever types it, though YAML reads a mapping.
    return text.strip() if isinstance(value, dict) and not text.lstrip().startswith("{") else value
