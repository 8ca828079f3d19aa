"""Configurations of other tools in Luthier's keys. One file a tool; no setting is dropped in silence.

A file NAME.py has a class named in CamelCase, derived from `Importer`: it knows the tool's files by their keys and says
of each key what it becomes here. What it does not mention is listed as not known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from luthier import registry
from luthier.config import RunConfig
from luthier.config.messages import Document, explain
from luthier.config.overrides import Keys
from luthier.config.writing import to_yaml
from luthier.errors import ConfigError
from luthier.importing._translation import Setting, Translation, joined

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
        ConfigError: it is not there, no YAML, of no known tool, of a job that Luthier does not do, or a value in it is
            none that its key can have.
    """
    given = _read(file)
    importers: list[Importer] = [registry.load("importer", name)() for name in registry.names("importer")]
    importer = next((importer for importer in importers if importer.recognises(given)), None)
    if importer is None:
        titles = " or ".join(importer.title for importer in importers)
        raise ConfigError("no known tool writes such a file", where=str(file), expected=f"a YAML file of {titles}")
    translation = Translation(given, str(file))
    importer.translate(translation, file)
    settings = translation.finish()
    config = _validated(translation, settings)
    header = [f"{file.name} of {importer.title}, by `luthier import-config`."]
    return Imported(importer.title, config, to_yaml(config, header=header, notes=_notes(settings)), settings)


def _validated(translation: Translation, settings: Sequence[Setting]) -> RunConfig:
    try:
        return RunConfig.model_validate(translation.values)
    except ValidationError as error:
        written = [setting for setting in settings if setting.key in translation.given]
        lines = explain(error, _Foreign(translation.source, CommentedMap(translation.values), {}, written))
        raise ConfigError(
            "what the file says gives no valid configuration:\n" + "\n".join(f"- {line}" for line in lines),
            hint="mend these keys there, or leave them out and set Luthier's in the new file",
        ) from error


@dataclass(frozen=True)
class _Foreign(Document):
    """A configuration out of another tool's file: errors stand at that tool's keys."""

    settings: Sequence[Setting]

    def where(self, keys: Keys) -> str:
        """The tool's keys that say what stands at these of Luthier, or below them."""
        named = [setting.key for setting in self.settings if setting.ours and _together(setting, keys)]
        return f"{', '.join(named)} in {self.source}" if keys and named else self.source


def _together(setting: Setting, keys: Keys) -> bool:
    """Whether a setting's key here and other keys lie on one way down."""
    return all(ours == key for ours, key in zip(setting.path.split("."), keys, strict=False))


def _notes(settings: Sequence[Setting]) -> dict[str, str]:
    """What differs, by the dotted path of Luthier's key."""
    notes: dict[str, str] = {}
    for setting in settings:
        if setting.fate == "differs":
            told = f"{setting.key}: {setting.value}. {setting.note}"
            notes[setting.path] = joined(notes.get(setting.path, ""), told)
    return notes


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
