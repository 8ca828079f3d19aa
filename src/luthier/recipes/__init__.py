"""Ready runs: the YAML files beside this one. The first comment lines of each say what it does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from luthier.errors import ConfigError
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
        """One line: the comment lines that the file begins with, up to the first empty one."""
        lines: list[str] = []
        for line in self.text.splitlines():
            comment = line.removeprefix("#").strip()
            if not line.startswith("#") or not comment:
                break
            lines.append(comment)
        return " ".join(lines)


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
