"""From another tool's settings to Luthier's, with a line about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from luthier.errors import ConfigError

Fate = Literal["same", "differs", "none", "unknown", "nothing"]
"""Taken over; taken over with a difference; no equivalent; a key that is not known; needs nothing here."""


@dataclass(frozen=True)
class Setting:
    """What became of one of a tool's settings.

    Attributes:
        key: its key there.
        value: its value there, as text; marked where it is that tool's default.
        ours: the key and value here; empty without one.
        fate: what became of it.
        note: what to know about it.
    """

    key: str
    value: str
    ours: str
    fate: Fate
    note: str

    @property
    def path(self) -> str:
        """The key here by itself, dotted."""
        return self.ours.partition(":")[0]


class Translation:
    """Collects values and lines. A key that nobody speaks of is not known.

    Attributes:
        given: the tool's keys and values.
        source: what the file is called.
        values: Luthier's configuration so far, nested.
    """

    def __init__(self, given: Mapping[str, Any], source: str) -> None:
        self.given, self.source = given, source
        self.values: dict[str, Any] = {}
        self._settings: dict[str, Setting] = {}

    def has(self, key: str) -> bool:
        """Whether a key has a value; an empty one counts as left out."""
        return self.given.get(key) not in (None, "")

    def get(self, key: str, default: Any = None) -> Any:
        """A key's value, or the tool's default."""
        return self.given[key] if self.has(key) else default

    def number(self, key: str, default: float) -> float:
        """A key's value as a number: some write 1e-4, which YAML takes for text.

        Raises:
            ConfigError: it is none.
        """
        value = self.get(key, default)
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise self._wrong(key, "a number") from error

    def whole(self, key: str, default: int) -> int:
        """A key's value as a whole number.

        Raises:
            ConfigError: it is none.
        """
        value = self.number(key, default)
        if not value.is_integer():
            raise self._wrong(key, "a whole number")
        return int(value)

    def _wrong(self, key: str, expected: str) -> ConfigError:
        return ConfigError(f"{key} is {self.get(key)!r}", where=f"{key} in {self.source}", expected=expected)

    def put(self, path: str, value: Any) -> None:
        """Sets one of Luthier's keys."""
        *parents, last = path.split(".")
        node = self.values
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value

    def say(self, key: str, fate: Fate, ours: str = "", note: str = "") -> None:
        """The line about a key; the first one counts."""
        value = _text(self.given[key]) if key in self.given else "(default)"
        self._settings.setdefault(key, Setting(key, value, ours, fate, note))

    def same(self, key: str, path: str, value: Any, note: str = "") -> None:
        """Taken over as it is."""
        self._taken(key, path, value, "same", note)

    def differs(self, key: str, path: str, value: Any, note: str) -> None:
        """Taken over, with a difference."""
        self._taken(key, path, value, "differs", note)

    def _taken(self, key: str, path: str, value: Any, fate: Fate, note: str) -> None:
        self.put(path, value)
        if key not in self.given:
            note = f"the tool's default. {note}".strip()
        self.say(key, fate, f"{path}: {_text(value)}", note)

    def copy(self, table: Mapping[str, str]) -> None:
        """Keys that mean the same under another name: {theirs: ours}."""
        for key, path in table.items():
            if self.has(key):
                self.same(key, path, self.given[key])

    def explain(self, fate: Fate, table: Mapping[str, str]) -> None:
        """Keys without a place here: {theirs: why}. One that is left empty or switched off needs nothing."""
        for key, note in table.items():
            if key in self.given:
                idle = not self.has(key) or self.given[key] is False
                self.say(key, "nothing" if idle else fate, note="" if idle else note)

    def finish(self) -> list[Setting]:
        """All lines in the order of the file, defaults that matter behind them."""
        for key in self.given:
            if key not in self._settings:
                empty = not self.has(key)
                self.say(key, "nothing" if empty else "unknown", note="left empty" if empty else "not known to Luthier")
        order = {key: place for place, key in enumerate(self.given)}
        return sorted(self._settings.values(), key=lambda setting: order.get(setting.key, len(order)))


def joined(*notes: str) -> str:
    """Notes as one; empty ones are left out."""
    return "; ".join(filter(None, notes))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)
