"""`package:MODULE/FILE`: files that come inside Python packages. The module is found, never imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PREFIX = "package:"


def package_root(spec: str) -> Path | None:
    """The folder of the package that `package:MODULE/FILE` names; None when it is not installed."""
    module = spec.removeprefix(PREFIX).partition("/")[0].partition(".")[0]
    found = find_spec(module) if module else None
    locations = found.submodule_search_locations if found else None
    return Path(next(iter(locations))) if locations else None


def package_path(spec: str, root: Path) -> Path:
    """The path inside that folder; it need not exist."""
    module, _, inside = spec.removeprefix(PREFIX).partition("/")
    return root.joinpath(*module.split(".")[1:], inside)
