"""Small facts about texts that scores and baselines depend on."""

from __future__ import annotations

import unicodedata

_EDGES = " \t\r\n.,;:!?\"'`*()[]。，；：！？、「」“”‘’"


def normalise(text: str) -> str:
    """The text with what a reader overlooks taken away: case, width and form (NFKC), spacing, marks at the ends."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(_EDGES)
