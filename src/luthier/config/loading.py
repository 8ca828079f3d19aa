"""Reads a run's YAML: overrides, then validation; all errors come together, each with its place in the file."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from luthier.config.data import SourceConfig
from luthier.config.messages import Document, explain
from luthier.config.overrides import apply_overrides
from luthier.config.run import RunConfig
from luthier.errors import ConfigError


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Reads a YAML file and applies `key.path=value` overrides.

    Raises:
        ConfigError: the file is missing, is not YAML, or has wrong keys or values; all of them are listed.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigError(
            f"there is no configuration file '{path}'" if not file.is_dir() else f"'{path}' is a folder, not a file",
            hint="`luthier new DATA` writes one for your data; `luthier recipes` lists ready ones",
        )
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("not a text file in UTF-8", where=str(path), expected="YAML, saved as UTF-8") from error
    return parse_config(text, overrides, source=str(path))


def parse_config(text: str, overrides: Sequence[str] = (), *, source: str = "<text>") -> RunConfig:
    """Like `load_config`, from YAML text; `source` is what the messages call it."""
    tree = _parse(text, source)
    origins, problems = apply_overrides(tree, overrides)
    try:
        config = RunConfig.model_validate(_plain(tree))
    except ValidationError as error:
        raise _listed(problems + explain(error, Document(source, tree, origins))) from error
    if problems:
        raise _listed(problems)
    return config


def parse_source(text: str) -> SourceConfig:
    """A source of rows as it stands on a command line: a path, or a mapping such as `{path: ..., format: ...}`.

    Raises:
        ConfigError: the mapping has wrong keys or values; all of them are listed.
    """
    if not text.lstrip().startswith("{"):
        return SourceConfig(path=text)
    return parse_config(f"model: {{base: none}}\ndata: {{train: [{text}]}}", source="<source>").data.train[0]


def _parse(text: str, source: str) -> CommentedMap:
    try:
        tree = YAML().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        problem = str(error.problem or error).splitlines()[0]
        hint = "YAML is indented with spaces, never with tabs" if "\\t" in problem else None
        raise ConfigError(f"not valid YAML: {problem}", where=where, hint=hint) from error
    except YAMLError as error:
        raise ConfigError(f"not valid YAML: {str(error).splitlines()[0]}", where=source) from error
    if not isinstance(tree, CommentedMap):
        raise ConfigError(
            "the configuration is empty" if tree is None else "a configuration is a mapping of keys to values",
            where=source,
            expected="model: and data:, and below them what differs from the defaults",
            hint="`luthier new DATA` writes one for your data",
        )
    return tree


def _listed(lines: Sequence[str]) -> ConfigError:
    count = f"{len(lines)} error{'s' if len(lines) > 1 else ''}"
    return ConfigError(
        f"{count} in the configuration:\n" + "\n".join(f"- {line}" for line in lines),
        hint="`luthier schema` prints every key with its meaning",
    )


def _plain(node: Any) -> Any:
    """The tree in Python's own types; a date is the text that was written, since no key takes a date."""
    match node:
        case Mapping():
            return {str(key): _plain(value) for key, value in node.items()}
        case list():
            return [_plain(item) for item in node]
        case ScalarBoolean():
            return bool(node)
        case bool() | None:
            return node
        case int():
            return int(node)
        case float():
            return float(node)
        case datetime.datetime():
            return node.isoformat(" ")
        case datetime.date():
            return node.isoformat()
        case _:
            return str(node)
