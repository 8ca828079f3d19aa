"""Configurations of other tools in Luthier's keys. One file a tool; no setting is dropped in silence.

A file NAME.py has a class named in CamelCase, derived from `Importer`: it knows the tool's files by their keys and says
of each key what it becomes here. What it does not mention is listed as not known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from luthier import registry
from luthier.config import RunConfig
from luthier.config.writing import to_yaml
from luthier.errors import ConfigError
from luthier.importing._translation import Setting, Translation

__all__ = ["Imported", "Importer", "Setting", "Translation", "import_file"]


class Importer(ABC):
    """Reads one tool's configurations."""

    title: ClassVar[str]
    """What the tool is called."""

    @abstractmethod
    def recognises(self, given: Mapping[str, Any]) -> bool:
        """Whether a file with these keys is the tool's."""

    @abstractmethod
    def translate(self, translation: Translation, file: Path) -> None:
        """Says of every key that it knows what it becomes.

        Args:
            translation: the file's settings, and Luthier's, which are filled in.
            file: where the settings stand, for what they name beside it.

        Raises:
            ConfigError: the job is none that Luthier does.
        """


@dataclass(frozen=True)
class Imported:
    """Another tool's configuration, translated.

    Attributes:
        tool: what it is called.
        config: the same job in Luthier's keys.
        yaml: the same as a complete, commented file.
        settings: what became of each of the tool's settings.
    """

    tool: str
    config: RunConfig
    yaml: str
    settings: list[Setting]


def import_file(file: Path) -> Imported:
    """Translates a file.

    Raises:
        ConfigError: it is not there, no YAML, of no known tool, or of a job that Luthier does not do.
    """
    given = _read(file)
    importers: list[Importer] = [registry.load("importer", name)() for name in registry.names("importer")]
    importer = next((importer for importer in importers if importer.recognises(given)), None)
    if importer is None:
        titles = " or ".join(importer.title for importer in importers)
        raise ConfigError("no known tool writes such a file", where=str(file), expected=f"a YAML file of {titles}")
    translation = Translation(given)
    importer.translate(translation, file)
    settings = translation.finish()
    config = RunConfig.model_validate(translation.values)
    header = [f"{file.name} of {importer.title}, by `luthier import-config`."]
    notes = {s.ours: f"{s.key}: {s.value}. {s.note}".strip() for s in settings if s.fate == "differs" and s.note}
    return Imported(importer.title, config, to_yaml(config, header=header, notes=notes), settings)


def _read(file: Path) -> Mapping[str, Any]:
    try:
        given = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file '{file}'") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid YAML: {str(error).splitlines()[0]}", where=str(file)) from error
    if not isinstance(given, Mapping):
        raise ConfigError("a configuration is a mapping of keys to values", where=str(file))
    return given
