"""Texts as words, for what looks at one word after the other."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
"""Chinese and Japanese characters, as they stand between the brackets of a regular expression."""

_CJK = re.compile(f"[{CJK}]")
_PLAIN = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")


def is_cjk(texts: Iterable[str]) -> bool:
    """Whether more than three in ten characters are Chinese or Japanese, which put no spaces between words."""
    joined = "".join("".join(text.split()) for text in texts)
    return len(_CJK.findall(joined)) > 0.3 * len(joined)


def split_words(text: str) -> list[str]:
    """Words as spaces part them; Chinese and Japanese ones are parted into characters."""
    return [word for piece in text.split() for word in (piece if is_cjk([piece]) else [piece])]


def plain_words(text: str) -> list[str]:
    """Words without case, width and punctuation, as texts are compared by; a Chinese character is a word."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _PLAIN.findall(text.casefold())
