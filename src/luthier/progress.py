"""How long work tells how far it is."""

from collections.abc import Callable

Report = Callable[[str, int, int | None], None]
"""Told the phase, what is done of it, and how much there is; None = nobody knows yet."""


def silent(phase: str, done: int, total: int | None) -> None:
    """Tells nobody."""
