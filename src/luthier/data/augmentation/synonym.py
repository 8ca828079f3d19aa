"""Words replaced by synonyms, in the same form (Wei and Zou 2019, https://arxiv.org/abs/1901.11196)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal, Protocol, Self

from pydantic import Field, model_validator

from luthier.data.augmentation import Augmentation, AugmentationOptions, asked_text, with_asked_text
from luthier.data.augmentation._chinese import Chinese
from luthier.data.augmentation._english import English
from luthier.data.augmentation._telling import telling_words
from luthier.data.examples import Example


class SynonymOptions(AugmentationOptions):
    """Words replaced by synonyms of a lexical database; names, numbers and words that tell the label stay."""

    name: Literal["synonym"] = "synonym"
    language: Literal["en", "zh"] = Field(
        "en", description="en: WordNet, in the word's form. zh: a thesaurus of yours, by words of the same length."
    )
    copies: int = Field(1, ge=1, description="New rows of each row.")
    words: float = Field(0.15, gt=0, le=1, description="Share of a text's words that is replaced; at least one.")
    certainty: float = Field(
        0.45,
        ge=0,
        le=1,
        description="How much of a word's use its commonest meaning must be (in English); words of less certain "
        "meaning stay.",
    )
    protect: list[str] = Field(default_factory=list, description="Words that are never replaced, in any form.")
    protect_labels: bool = Field(
        True, description="Leave words alone that stand beside one label far more often than beside others."
    )
    lexicon: str | None = Field(
        None,
        description="en: the folder of a WordNet database (data.noun, cntlist.rev, ...); null = WordNet 3.0, which the "
        "extra `augment` brings. zh: a text file with a group of synonyms a line, or wn-data-cmn.tab of the Open "
        "Multilingual Wordnet.",
    )

    @model_validator(mode="after")
    def _brings_a_thesaurus(self) -> Self:
        if self.language == "zh" and self.lexicon is None:
            raise ValueError("synonym in Chinese needs a lexicon: a text file with a group of synonyms a line")
        return self


class Language(Protocol):
    """What is known of a language's words.

    Attributes:
        protected: words that stay, in lower case; may grow.
    """

    protected: set[str]

    def files(self) -> Sequence[Path]:
        """The lexicon."""
        ...

    def words(self, text: str) -> list[str]:
        """The words of a text, in lower case."""
        ...

    def places(self, text: str) -> Iterator[tuple[int, int, dict[str, int]]]:
        """Where words may be replaced: (start, end, synonyms with how much each is preferred)."""
        ...


LANGUAGES: dict[str, Callable[[Any], Language]] = {"en": English, "zh": Chinese}


class Synonym(Augmentation):
    """Replaces words whose meaning is clear."""

    Options = SynonymOptions

    def __init__(self, options: Any, data: Any) -> None:
        super().__init__(options, data)
        self._language: Language = LANGUAGES[options.language](options)
        for name in (*options.protect, *(data.labels or ())):
            self._language.protected.update(self._language.words(name))

    def files(self) -> Sequence[Path]:
        """The lexicon."""
        return self._language.files()

    def look(self, examples: Iterable[Example]) -> None:
        """Learns which words tell the label."""
        if self.options.protect_labels:
            self._language.protected |= telling_words(examples, self._language.words)

    def variants(self, example: Example, random: Random) -> Iterator[tuple[Example, str]]:
        """Texts with some of their words replaced."""
        text = asked_text(example)
        places = list(self._language.places(text)) if text is not None else []
        if text is None or not places:
            return
        count = min(len(places), max(1, round(self.options.words * len(self._language.words(text)))))
        for _ in range(self.options.copies):
            made, end = "", 0
            for place in sorted(random.sample(range(len(places)), count)):
                start, stop, choices = places[place]
                made += text[end:start] + random.choices(list(choices), list(choices.values()))[0]
                end = stop
            plural = "s" if count > 1 else ""
            yield with_asked_text(example, made + text[end:]), f"{count} word{plural} replaced by synonyms"
