"""Ready runs: the YAML files beside this one.

The comment lines that a file begins with say what it does: a paragraph in English and, behind an empty comment line,
the same in Chinese. The first line of each is a sentence that can stand alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import dropwhile, groupby, takewhile
from pathlib import Path
from typing import get_args

from luthier.errors import ConfigError
from luthier.languages import Language, spoken, tell
from luthier.registry import suggest

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """A ready run.

    Attributes:
        name: its file's name without `.yaml`.
        path: the file.
    """

    name: str
    path: Path

    @property
    def text(self) -> str:
        """The YAML as it stands in the file."""
        return self.path.read_text(encoding="utf-8")

    @property
    def description(self) -> str:
        """What it does, in the language that is spoken; in English where the file says nothing in that one."""
        return tell(" ").join(self._said)

    @property
    def summary(self) -> str:
        """The first sentence of it."""
        return self._said[0] if self._said else ""

    @property
    def settings(self) -> str:
        """The YAML behind these lines."""
        return "".join(dropwhile(_is_comment, self.text.splitlines(keepends=True)))

    @property
    def _said(self) -> list[str]:
        """The comment lines in the language that is spoken."""
        comments = [line.removeprefix("#").strip() for line in takewhile(_is_comment, self.text.splitlines())]
        paragraphs = [list(lines) for filled, lines in groupby(comments, bool) if filled]
        told: dict[Language, list[str]] = dict(zip(get_args(Language), paragraphs, strict=False))
        return told.get(spoken()) or told.get("en", [])


def _is_comment(line: str) -> bool:
    return line.startswith("#")


def recipes() -> list[Recipe]:
    """All recipes, sorted by name."""
    return [Recipe(path.stem, path) for path in sorted(FOLDER.glob("*.yaml"))]


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ConfigError: there is none; the nearest name is suggested.
    """
    known = {recipe.name: recipe for recipe in recipes()}
    if name not in known:
        near = suggest(name, list(known))
        raise ConfigError(
            f"there is no recipe '{name}'" + (f"; did you mean '{near}'?" if near else ""),
            expected=f"one of {', '.join(known)}",
        )
    return known[name]
