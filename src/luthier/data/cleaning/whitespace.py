"""Evens out the white space of texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from luthier.data.cleaning import TextRepair
from luthier.data.texts import Change
from luthier.registry import Options

_INSIDE = re.compile(r"[^\S\n]+")
_AROUND_LINES = re.compile(r" ?\n ?")
_EMPTY_LINES = re.compile(r"\n{3,}")


class WhitespaceOptions(Options):
    """Runs of spaces of any kind become one space, ends are trimmed, and lines are kept or joined."""

    name: Literal["whitespace"] = "whitespace"
    lines: Literal["keep", "join"] = Field(
        "keep", description="keep (at most one empty line in a row) | join (all of a text in one line)."
    )


class Whitespace(TextRepair):
    """Not for texts in which indentation means something, such as code."""

    Options = WhitespaceOptions
    calls = False

    def changes(self) -> Sequence[tuple[str, Change]]:
        """See `TextRepair.changes`."""
        joined = self.options.lines == "join"
        return (("white space evened out", (lambda text: " ".join(text.split())) if joined else _evened_out),)


def _evened_out(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n\n")
    return _EMPTY_LINES.sub("\n\n", _AROUND_LINES.sub("\n", _INSIDE.sub(" ", text))).strip()
