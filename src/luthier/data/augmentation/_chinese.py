"""Chinese words and their synonyms: groups of a thesaurus that the user brings, words cut and tagged by `rjieba`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from luthier.errors import ConfigError

INSTALL = "pip install 'luthier[augment-zh]'"

_KINDS = {"n", "v", "vn", "a", "ad", "an", "d"}  # without names (nr, ns, nt, nz), numbers (m) and function words
_BETWEEN = re.compile(r"[\s,，、;；|]+")
_CODE = re.compile(r"[A-Z][a-z]\d\d[A-Z]\d\d[=#@]")  # before a group of Cilin
_SYNONYMS = "="  # a group of one meaning, not merely of one field
_WORDNET = re.compile(r"(\d{8}-[a-z])\t(?:\w+:)?lemma\t(.+)")
_ENDINGS = ("+的", "+地")  # of adjectives and adverbs in the Chinese Open Wordnet


class Chinese:
    """Words of one meaning alone, for words of the same length and kind that have one meaning too.

    Raises:
        ConfigError: a package is missing, or the thesaurus.
    """

    def __init__(self, options: Any) -> None:
        if find_spec("rjieba") is None:
            raise ConfigError("data.augment: synonym needs the package rjieba", hint=INSTALL)
        self._lexicon = Path(options.lexicon).expanduser()
        if not self._lexicon.is_file():
            raise ConfigError("data.augment: synonym finds no thesaurus", where=f"lexicon: {options.lexicon}")
        self.protected: set[str] = set()
        self._kinds: dict[str, str] = {}

    def files(self) -> Sequence[Path]:
        """The thesaurus."""
        return [self._lexicon]

    def words(self, text: str) -> list[str]:
        """Words of letters or characters."""
        from rjieba import cut

        return [word for word in cut(text.lower()) if word.isalpha()]

    def places(self, text: str) -> Iterator[tuple[int, int, dict[str, int]]]:
        """Nouns, verbs, adjectives and adverbs of at least two characters."""
        from rjieba import tag

        end = 0
        for word, kind in tag(text):
            start, end = end, end + len(word)
            if len(word) < 2 or kind not in _KINDS or word in self.protected:
                continue
            if choices := {other: 1 for other in self._groups.get(word, ()) if self._fits(other, word, kind)}:
                yield start, end, choices

    def _fits(self, other: str, word: str, kind: str) -> bool:
        """Whether a word of the same group may stand in place of another."""
        from rjieba import tag

        if other == word or len(other) != len(word) or other in self.protected or other not in self._groups:
            return False
        if other not in self._kinds:
            tagged = tag(other)
            self._kinds[other] = tagged[0][1] if len(tagged) == 1 else ""
        return self._kinds[other] == kind

    @cached_property
    def _groups(self) -> dict[str, list[str]]:
        """A word -> the words of its meaning; words of several meanings are left out."""
        groups: dict[str, list[list[str]]] = defaultdict(list)
        for words in read_thesaurus(self._lexicon):
            for word in words:
                groups[word].append(words)
        return {word: own[0] for word, own in groups.items() if len(own) == 1}


def read_thesaurus(path: Path) -> list[list[str]]:
    """Groups of words of one meaning.

    A line is a group, its words parted by spaces, commas or bars. Lines of the extended thesaurus Cilin (同义词词林)
    begin with a code, whose mark says whether their words are synonyms. In a table of the Open Multilingual Wordnet
    (https://omwn.org), such as `wn-data-cmn.tab`, lines with the same number are a group.

    Raises:
        ConfigError: there is no group in it.
    """
    from luthier.data.reading.encodings import detect_encoding

    with path.open("rb") as stream:
        encoding = detect_encoding(stream) or "utf-8"
    groups: list[list[str]] = []
    meanings: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text(encoding=encoding, errors="replace").splitlines():
        if meaning := _WORDNET.fullmatch(line.strip()):
            meanings[meaning[1]].append(_stem(meaning[2]))
            continue
        words = [word for word in _BETWEEN.split(line) if word]
        if words and _CODE.fullmatch(words[0]):
            words = words[1:] if words[0].endswith(_SYNONYMS) else []
        groups.append(words)
    found = [list(dict.fromkeys(words)) for words in (*groups, *meanings.values())]
    if not any(len(words) > 1 for words in found):
        raise ConfigError(
            "data.augment: synonym finds no two words of one meaning in the thesaurus",
            where=str(path),
            expected="a group of synonyms a line, or a table of the Open Multilingual Wordnet",
        )
    return found


def _stem(lemma: str) -> str:
    for ending in _ENDINGS:
        lemma = lemma.removesuffix(ending)
    return lemma
