"""Plugins by kind and name, found from file names and loaded when asked for.

A file `luthier/methods/lora.py` is the plugin `lora` of the kind `method`; its class is the file's name in CamelCase
(`Lora`). Packages that are installed beside Luthier add theirs by the entry-point group `luthier.KIND`.
Nothing is imported until a plugin is loaded, so plugin modules keep heavy imports inside their functions.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from pydantic import BaseModel, ConfigDict

from luthier.errors import ConfigError

PACKAGES: dict[str, str] = {
    "format": "luthier.data.formats",
    "cleaning": "luthier.data.cleaning",
    "augmentation": "luthier.data.augmentation",
    "task": "luthier.tasks",
    "method": "luthier.methods",
    "metric": "luthier.evaluation.metrics",
    "optimizer": "luthier.training.optimizers",
    "schedule": "luthier.training.schedules",
    "tracker": "luthier.tracking.trackers",
    "exporter": "luthier.export.targets",
    "symptom": "luthier.diagnosis",
    "importer": "luthier.importing",
}


def _ask_for_name(schema: dict[str, Any]) -> None:
    """Without a required name every plugin's schema would accept `{}`, and an editor could not tell them apart."""
    schema["required"] = ["name", *(key for key in schema.get("required", []) if key != "name")]


class Options(BaseModel):
    """Base of a plugin's options as they stand in the YAML: frozen, unknown keys refused.

    A plugin with options declares `name: Literal["its name"]` in a subclass and points to it as `Options`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_ask_for_name)

    name: str


def suggest(wrong: str, known: list[str]) -> str | None:
    """The known name nearest to a wrong one, or None when nothing is near."""
    near = difflib.get_close_matches(wrong.lower(), known, n=1, cutoff=0.6)
    return near[0] if near else None


@cache
def _targets(kind: str) -> dict[str, str]:
    package = PACKAGES[kind]
    spec = find_spec(package)
    locations = list(spec.submodule_search_locations or []) if spec else []
    found = {
        module.name: f"{package}.{module.name}:{''.join(part.capitalize() for part in module.name.split('_'))}"
        for module in pkgutil.iter_modules(locations)
        if not module.ispkg and not module.name.startswith("_")
    }
    found |= {point.name: point.value for point in entry_points(group=f"luthier.{kind}")}
    return dict(sorted(found.items()))


def names(kind: str) -> list[str]:
    """The names of all plugins of a kind, sorted."""
    return list(_targets(kind))


def load(kind: str, name: str) -> Any:
    """The plugin's class.

    Raises:
        ConfigError: no plugin of that name; the nearest right name is suggested.
    """
    targets = _targets(kind)
    if name not in targets:
        near = suggest(name, list(targets))
        raise ConfigError(
            f"there is no {kind} named '{name}'" + (f"; did you mean '{near}'?" if near else ""),
            expected=f"one of {', '.join(targets)}",
        )
    module, _, attribute = targets[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
