"""Small facts about texts that scores and baselines depend on."""

from __future__ import annotations

import re
import string
import unicodedata

from luthier.data.words import CJK

_EDGES = " \t\r\n.,;:!?\"'`*()[]。，；：！？、「」“”‘’"
_WORD = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")
_CHARACTER = re.compile(f"([{CJK}])")
_ARTICLE = re.compile(r"\b(a|an|the)\b")


def normalise(text: str) -> str:
    """The text with what a reader overlooks taken away: case, width and form (NFKC), spacing, marks at the ends."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(_EDGES)


def words(text: str) -> list[str]:
    """Words in lower case, without punctuation; Chinese and Japanese ones are parted into characters.

    Of ASCII text these are the tokens of the `rouge-score` package. It drops letters of other alphabets; here they
    make words.
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def answer_words(text: str) -> list[str]:
    """Words as SQuAD's evaluation has them: no punctuation, no articles; Chinese and Japanese in characters.

    Punctuation is taken out, not parted at: "13.1" becomes "131", and "don't" becomes "dont".
    """
    lowered = unicodedata.normalize("NFKC", text).lower()
    bare = "".join(mark for mark in lowered if mark not in string.punctuation and unicodedata.category(mark)[0] != "P")
    return _ARTICLE.sub(" ", _CHARACTER.sub(r" \1 ", bare)).split()
