"""One hierarchy of errors. A message says what was found, where, what was expected and what to try."""

from __future__ import annotations


class LuthierError(Exception):
    """Base of every error meant for a person.

    Args:
        found: what is wrong, as one sentence.
        where: file, line, key or row.
        expected: what would have been right.
        hint: what to try next.
    """

    exit_code = 1

    def __init__(
        self, found: str, *, where: str | None = None, expected: str | None = None, hint: str | None = None
    ) -> None:
        self.found = found
        self.where = where
        self.expected = expected
        self.hint = hint
        super().__init__(self.render())

    def render(self) -> str:
        """The message as lines of text: found, where, expected, try."""
        lines = [self.found]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.hint:
            lines.append(f"  try: {self.hint}")
        return "\n".join(lines)


class ConfigError(LuthierError):
    """Wrong usage or configuration."""

    exit_code = 2


class DataError(LuthierError):
    """The user's data cannot be used as it is."""

    exit_code = 3


class ModelError(LuthierError):
    """A base model cannot be found, loaded or adapted."""

    exit_code = 4


class TrainingError(LuthierError):
    """Training cannot go on, such as a loss that is not finite."""

    exit_code = 5


class ArtefactRefused(LuthierError):
    """An export that does not behave like the adapter it was made from."""

    exit_code = 6


class Interrupted(LuthierError):
    """Stopped by the user at a step boundary; a checkpoint was written."""

    exit_code = 130
