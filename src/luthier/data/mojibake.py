"""Text that was read in the wrong encoding: UTF-8 taken for Windows-1252 or Latin-1 ("Ã©"), or for GBK ("鍏徃").

`ftfy` judges and undoes the first kind. It does not know the second, which Chinese files have, nor lost characters.
"""

from __future__ import annotations

import re
from typing import cast

_LOST = re.compile("\ufffd|锟斤拷|烫烫烫")
"""What is left of characters that a wrong reading destroyed: U+FFFD, the same read as GBK, memory never written."""

_HAN = re.compile("[\u4e00-\u9fff]{3}")
_CHINESE = re.compile(rb"(?:[\xe4-\xe9][\x80-\xbf]{2}){3}")
"""UTF-8 in the bytes that GBK reads Chinese text from: three Chinese characters in a row."""


def is_mojibake(text: str) -> bool:
    """Whether a text has characters that were lost, or that are others once more when their bytes are read as UTF-8."""
    if text.isascii():
        return False
    if _LOST.search(text):
        return True
    from ftfy.badness import is_bad

    return is_bad(text) or _like_gbk(text)


def undone(text: str) -> str:
    """A text with a wrong decoding undone where that is certain, otherwise as it is."""
    if text.isascii():
        return text
    if _like_gbk(text):
        try:
            return text.encode("gb18030").decode("utf-8")
        except UnicodeError:
            return text  # a byte was lost on the way
    import ftfy

    return cast(str, ftfy.fix_encoding(text))


def _like_gbk(text: str) -> bool:
    return bool(_HAN.search(text) and _CHINESE.search(text.encode("gb18030", "replace")))
