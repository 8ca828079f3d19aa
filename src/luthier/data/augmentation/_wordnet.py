"""WordNet as it stands in its own database files: data.noun, data.verb, data.adj, data.adv and cntlist.rev.

The layout is described at https://wordnet.princeton.edu/documentation/wndb5wn. The counts say how often a word was
met in each of its meanings in text that people marked (SemCor); meanings and synonyms that were never met are left out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FILES = {"noun": "NOUN", "verb": "VERB", "adj": "ADJ", "adv": "ADV"}
COUNTS = "cntlist.rev"
_TYPES = {"n": 1, "v": 2, "a": 3, "r": 4, "s": 5}
_QUANTITIES = "23"  # the lexicographer file noun.quantity: two, million, dozen, percent
_MARKER = re.compile(r"\(\w+\)$")  # where an adjective may stand, as in galore(ip)
_PLAIN = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class Sense:
    """A meaning of a word.

    Attributes:
        kind: NOUN | VERB | ADJ | ADV.
        count: how often the word was met in this meaning.
        synonyms: single words that were met in this meaning too, with how often.
    """

    kind: str
    count: int
    synonyms: dict[str, int]


@dataclass(frozen=True)
class WordNet:
    """The meanings that were met.

    Attributes:
        senses: by word in its base form.
        quantities: words that are numbers or amounts.
    """

    senses: dict[str, list[Sense]]
    quantities: frozenset[str]


@lru_cache(maxsize=2)
def read_wordnet(folder: Path) -> WordNet:
    """Reads a database folder; takes about a second.

    Raises:
        OSError: a file is missing.
    """
    counts: dict[str, int] = {}
    with (folder / COUNTS).open(encoding="utf-8") as lines:
        for line in lines:
            key, _, count = line.split()
            counts[key.rsplit(":", 2)[0]] = int(count)
    senses: dict[str, list[Sense]] = defaultdict(list)
    quantities: set[str] = set()
    for name, kind in FILES.items():
        for topic, words in _synsets(folder / f"data.{name}"):
            if name == "noun" and topic == _QUANTITIES:
                quantities.update(word for word, _ in words)
            met = {word: counts[key] for word, key in words if counts.get(key)}
            for word, times in met.items():
                others = {other: met[other] for other in met if other != word and _PLAIN.fullmatch(other)}
                senses[word].append(Sense(kind, times, others))
    return WordNet(dict(senses), frozenset(quantities))


def _synsets(path: Path) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """(topic, its words, each with the beginning of its key in the counts) of every synset."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(" "):
                continue  # the licence stands above
            fields = line.partition(" | ")[0].split(" ")
            topic, kind, count = fields[1], _TYPES[fields[2]], int(fields[3], 16)
            pairs = zip(fields[4 : 4 + 2 * count : 2], fields[5 : 5 + 2 * count : 2], strict=True)
            words = []
            for written, number in pairs:
                word = _MARKER.sub("", written)
                words.append((written, f"{word.lower()}%{kind}:{topic}:{int(number, 16):02}"))
            yield topic, words
