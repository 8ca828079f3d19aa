"""Keeps rows in the languages that are wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from luthier.data.cleaning import CleaningStep, DroppedRow
from luthier.data.examples import Example, Row
from luthier.data.texts import question
from luthier.errors import ConfigError
from luthier.registry import Options

_READ = 2000
"""Characters of a text that tell its language."""

_LEAST_LETTERS = 8
"""Fewer Latin letters tell nothing."""

_COMMON = (
    *("ar", "bg", "bn", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu", "id", "it"),
    *("ja", "ko", "lt", "lv", "ms", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "ta", "te", "th", "tr"),
    *("uk", "ur", "vi", "zh"),
)
"""Languages that are told apart. With all 140 that `py3langid` knows, short headlines are taken for rare ones."""


class LanguageOptions(Options):
    """Rows in other languages are dropped, by `py3langid` (extra `language`)."""

    name: Literal["language"] = "language"
    keep: list[str] = Field(min_length=1, description="ISO 639-1 codes of the languages to keep, such as [en, zh].")
    sure: float = Field(
        0.95,
        gt=0,
        lt=1,
        description="A row is dropped when the probability that it is in none of these languages is at least so large: "
        "what is short or unsure stays.",
    )


class Language(CleaningStep):
    """Goes by the question, not by the answer: a translation's target is in another language."""

    Options = LanguageOptions

    def __init__(self, options: LanguageOptions) -> None:
        super().__init__(options)
        self._dropped: Counter[str] = Counter()

    def repair(self, example: Example, row: Row) -> tuple[Example, str | None]:
        """Changes nothing.

        Raises:
            DroppedRow: the text is in another language.
        """
        found = self._foreign(question(example)[:_READ])
        if found is not None:
            self._dropped[found] += 1
            raise DroppedRow(f"language: {found}")
        return example, None

    def counts(self) -> Mapping[str, int]:
        """Rows dropped, by language."""
        return {f"rows in {language}": count for language, count in self._dropped.most_common()}

    def _foreign(self, text: str) -> str | None:
        """The likeliest language, when it is surely none of those wanted."""
        letters = [character for character in text if character.isalpha()]
        if not letters or ("".join(letters).isascii() and len(letters) < _LEAST_LETTERS):
            return None
        ranked = self._identifier.rank(text)
        wanted = sum(share for language, share in ranked if language in self.options.keep)
        return str(ranked[0][0]) if 1 - wanted >= self.options.sure else None

    @cached_property
    def _identifier(self) -> Any:
        try:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier
        except ImportError:
            raise ConfigError(
                "the cleaning step language needs py3langid",
                where="data.clean",
                hint="pip install 'luthier[language]'",
            ) from None
        identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        unknown = [code for code in self.options.keep if code not in identifier.labels]
        if unknown:
            raise ConfigError(f"there is no language '{unknown[0]}'", where="data.clean", expected="an ISO 639-1 code")
        identifier.set_languages(sorted({*_COMMON, *self.options.keep}))
        return identifier
