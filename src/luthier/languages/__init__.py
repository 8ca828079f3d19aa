"""What people are told, in the language they read. English stands in the code; every other language is a file here.

    with speaking("zh"):
        tell("{rows} rows", rows=3)

`tell` is for what is shown now. What goes on record (run.json, the ledger, findings) is English, whoever reads it
later: `retell` finds the pattern that such a text was made by, and says it in the language that is spoken. A text that
the language's file does not have is said in English.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Literal

Language = Literal["en", "zh"]
"""The languages there are; NAME.toml beside this file has the texts of every one but English."""

RECORDED = "recorded"
"""The table of patterns for `retell`; the texts of all other tables are for `tell`."""

_SEPARATOR = "; "
"""Between the parts of a recorded text."""

_language: ContextVar[Language] = ContextVar("language", default="en")


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Inside, `tell` and `retell` speak that language."""
    before = _language.set(language)
    try:
        yield
    finally:
        _language.reset(before)


def spoken() -> Language:
    """The language that is spoken."""
    return _language.get()


def tell(text: str, /, **values: Any) -> str:
    """A text in the language that is spoken.

    Args:
        text: in English, with a {name} where a value goes; its translation has the same names.
        values: by name; without any, braces are left alone.
    """
    said = told_texts(spoken()).get(text, text)
    return said.format_map(values) if values else said


def retell(text: str) -> str:
    """A recorded text in the language that is spoken; as it stands where it has no pattern.

    Args:
        text: in English, with its values in it. Parts that are set apart by semicolons may have patterns of their own.
    """
    if spoken() == "en":
        return text
    parts = [_retold(part) for part in text.split(_SEPARATOR)]
    if None in parts:
        return _retold(text) or text
    return tell(_SEPARATOR).join(filter(None, parts))


def _retold(text: str) -> str | None:
    for pattern, said in _patterns(spoken()):
        if found := pattern.fullmatch(text):
            return said.format_map({name: _Value(value) for name, value in found.groupdict().items()})
    return None


class _Value(str):
    """What stood in a recorded text; {name:told} and {name:retold} ask for its own translation, {name:listed} for that
    of each of its parts, which commas part.
    """

    def __format__(self, spec: str) -> str:
        match spec:
            case "told":
                return tell(str(self))
            case "retold":
                return retell(str(self))
            case "listed":
                return tell(", ").join(map(retell, self.split(", ")))
        return super().__format__(spec)


@cache
def texts(language: Language) -> Mapping[str, Mapping[str, str]]:
    """The language's file: table -> English -> translation. English itself has none."""
    file = Path(__file__).with_name(f"{language}.toml")
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


@cache
def told_texts(language: Language) -> Mapping[str, str]:
    """What `tell` looks into."""
    return {text: said for name, table in texts(language).items() if name != RECORDED for text, said in table.items()}


@cache
def _patterns(language: Language) -> list[tuple[re.Pattern[str], str]]:
    """(what a recorded text looks like, its translation), in the order of the file."""
    return [(_pattern(text), said) for text, said in texts(language).get(RECORDED, {}).items()]


def _pattern(text: str) -> re.Pattern[str]:
    """Anything may stand where a {name} does."""
    pieces = re.split(r"\{(\w+)\}", text)
    pieces[::2] = map(re.escape, pieces[::2])
    pieces[1::2] = [f"(?P<{name}>.*?)" for name in pieces[1::2]]
    return re.compile("".join(pieces), re.DOTALL)
