"""Writes a configuration as YAML: complete, stable, and read back as an equal RunConfig."""

from __future__ import annotations

import json
import math
import re
import textwrap
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from luthier.config.run import RunConfig
from luthier.languages import speaking, tell

WIDTH = 110

# Line breaks and controls that YAML would fold or refuse inside quotes.
_SPECIAL = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
# Words that older YAML reads as booleans: quoted, so that every reader sees text.
_OLD_BOOLEANS = {"y", "n", "yes", "no", "on", "off"}


def to_yaml(
    config: RunConfig, *, comments: bool = True, header: Sequence[str] = (), notes: Mapping[str, str] | None = None
) -> str:
    """The whole configuration, every key written out in the order of its declaration.

    Args:
        config: the configuration.
        comments: puts each key's description above it, in the configuration's language.
        header: comment lines at the top of the file.
        notes: more to say about a key, by its dotted path, such as {"data.max_length": "the longest row has 80"}.

    Returns:
        YAML that `parse_config` reads as an equal RunConfig.
    """
    lines = [f"# {line}".rstrip() for line in header]
    with speaking(config.language):
        lines.extend(_mapping(config, (), comments, notes or {}))
    return "\n".join(lines).lstrip("\n") + "\n"


def _mapping(model: BaseModel, parents: tuple[str, ...], comments: bool, notes: Mapping[str, str]) -> Iterator[str]:
    """The lines of a mapping, not indented."""
    for name, field in type(model).model_fields.items():
        path = (*parents, name)
        if comments and not parents:
            yield ""  # an empty line before each part
        if comments and field.description and (name != "name" or not parents):
            yield from _comment(tell(field.description))
        if note := notes.get(".".join(path)):
            yield from _comment(note)
        yield from _entry(name, getattr(model, name), path, comments, notes)


def _entry(name: str, value: Any, path: tuple[str, ...], comments: bool, notes: Mapping[str, str]) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield f"{name}:"
        yield from (f"  {line}" for line in _mapping(value, path, comments, notes))
    elif isinstance(value, list | tuple) and value and all(isinstance(item, BaseModel) for item in value):
        yield f"{name}:"
        for item in value:
            yield from _item(_mapping(item, path, comments, notes))
    else:
        yield f"{name}: {_flow(value)}"


def _item(lines: Iterator[str]) -> Iterator[str]:
    """A mapping's lines as one item of a list: the dash stands before its first key, comments above that one first."""
    dash = "- "
    for line in lines:
        if line.startswith("#") and dash == "- ":
            yield f"  {line}"
            continue
        yield f"  {dash}{line}"
        dash = "  "


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH * len(text) // _columns(text))]


def _columns(text: str) -> int:
    """How wide a text is on a terminal: Chinese characters take two columns."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


def _flow(value: Any) -> str:
    """A value on one line."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _number(value)
        case BaseModel():
            return _flow({name: getattr(value, name) for name in type(value).model_fields})
        case Mapping():
            return "{" + ", ".join(f"{_flow(str(key))}: {_flow(item)}" for key, item in value.items()) + "}"
        case list() | tuple() | set() | frozenset():
            return "[" + ", ".join(_flow(item) for item in value) + "]"
        case _:
            return _text(str(value))


def _number(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    mantissa, exponent, power = text.partition("e")
    # Without a point, older YAML takes 1e-08 for text.
    return f"{mantissa}.0e{power}" if exponent and "." not in mantissa else text


@cache
def _text(text: str) -> str:
    if re.fullmatch(r"[\w/.]([\w /.\\-]*:?[\w/.\\-]*\w)?", text) and text.lower() not in _OLD_BOOLEANS:
        try:
            if YAML(typ="safe", pure=True).load(text) == text:
                return text
        except YAMLError:
            pass  # quoted below
    quoted = json.dumps(text, ensure_ascii=False)
    return _SPECIAL.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
