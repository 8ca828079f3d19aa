"""Examples as rows: formats that write, and the one in which each kind of example loses nothing."""

from __future__ import annotations

from functools import cache
from typing import Any

from luthier import registry
from luthier.data.examples import (
    Conversation,
    Document,
    Example,
    Labelled,
    MultiLabelled,
    Pair,
    Preference,
    Scored,
    TaggedWords,
)
from luthier.data.formats import Writable, load_format
from luthier.errors import ConfigError

NATURAL: dict[type[Example], str] = {
    Conversation: "messages",
    Labelled: "labelled",
    MultiLabelled: "multi_labelled",
    Scored: "scored",
    TaggedWords: "tagged",
    Pair: "pair",
    Preference: "preference",
    Document: "text",
}
"""The format that holds each kind of example whole."""


def readable(example: Example) -> dict[str, Any]:
    """An example as the row that its format's documentation shows; `format: auto` reads it back."""
    return load_writer(NATURAL[type(example)]).row(example)


@cache
def load_writer(name: str) -> Writable:
    """A format that writes.

    Raises:
        ConfigError: it can only be read.
    """
    form = load_format(name, {})
    if not isinstance(form, Writable):
        raise ConfigError(f"the format {name} can only be read", expected=f"one of {', '.join(writable())}")
    return form


def writable() -> list[str]:
    """The names of all formats that can be written."""
    return [name for name in registry.names("format") if isinstance(load_format(name, {}), Writable)]
