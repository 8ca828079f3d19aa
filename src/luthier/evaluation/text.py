"""Small facts about texts that scores and baselines depend on."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]")
_EDGES = " \t\r\n.,;:!?\"'`*()[]。，；：！？、「」“”‘’"


def is_cjk(texts: Iterable[str]) -> bool:
    """Whether more than three in ten characters are Chinese or Japanese, which put no spaces between words."""
    joined = "".join("".join(text.split()) for text in texts)
    return len(_CJK.findall(joined)) > 0.3 * len(joined)


def normalise(text: str) -> str:
    """The text with what a reader overlooks taken away: case, width and form (NFKC), spacing, marks at the ends."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(_EDGES)
