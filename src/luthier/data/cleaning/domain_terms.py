"""Which terms of a list the data covers, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from luthier.data.cleaning import CleaningStep, RowSet
from luthier.data.examples import Example
from luthier.data.texts import texts
from luthier.data.words import plain_words
from luthier.registry import Options

if TYPE_CHECKING:
    from luthier.data.reading.sources import RowSource

_NAMED = 10

Term = tuple[str, ...]


class DomainTermsOptions(Options):
    """Counts the training rows with each term, and can drop rows with too few of them."""

    name: Literal["domain_terms"] = "domain_terms"
    terms: list[str] = Field(default_factory=list, description="The terms; case and width do not matter.")
    file: str | None = Field(None, description="A file with more terms, such as a text file with one on each line.")
    minimum: int = Field(0, ge=0, description="Least different terms in a row; rows with fewer are dropped.")

    @model_validator(mode="after")
    def _has_terms(self) -> Self:
        if not self.terms and self.file is None:
            raise ValueError("give terms, or a file of terms")
        return self


class DomainTerms(CleaningStep):
    """Finds terms as whole words, Chinese ones anywhere, in every text of a row."""

    Options = DomainTermsOptions
    training_only = True

    def __init__(self, options: DomainTermsOptions) -> None:
        super().__init__(options)
        self._rows: Counter[Term] = Counter()
        self._seen = self._covered = 0

    def files(self) -> Sequence[RowSource]:
        """The file of terms."""
        from luthier.data.cleaning._files import files_at

        return files_at(self.options.file) if self.options.file else ()

    def judge(self, rows: RowSet) -> Mapping[int, str]:
        """Rows with fewer terms than the minimum."""
        poor: dict[int, str] = {}
        for row_id, example in rows.examples():
            found = self._terms_in(example)
            self._rows.update(found)
            self._seen += 1
            self._covered += bool(found)
            if len(found) < self.options.minimum:
                poor[row_id] = f"domain_terms: {len(found)} terms, fewer than {self.options.minimum}"
        return poor

    def counts(self) -> Mapping[str, int]:
        """Rows by term, the commonest first; terms that no row has are 0."""
        every = {spelled: self._rows[term] for term, spelled in self._terms.items()}
        return dict(sorted(every.items(), key=lambda item: -item[1]))

    def notes(self) -> Sequence[str]:
        """How many terms are covered, and which are not."""
        missing = [spelled for term, spelled in self._terms.items() if not self._rows[term]]
        covered = len(self._terms) - len(missing)
        listed = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
        of_rows = f"{self._covered} of {self._seen} training rows have one"
        without = f"; none has: {listed}" if missing else ""
        return [f"domain_terms: {covered} of {len(self._terms)} terms occur, {of_rows}{without}"]

    def _terms_in(self, example: Example) -> set[Term]:
        found: set[Term] = set()
        for text in texts(example):
            words = plain_words(text)
            for length in self._lengths:
                found.update(
                    run for run in zip(*(words[i:] for i in range(length)), strict=False) if run in self._terms
                )
        return found

    @cached_property
    def _terms(self) -> dict[Term, str]:
        """Terms as words -> as they are spelled."""
        from luthier.data.cleaning._files import strings_in

        listed = [*self.options.terms]
        if self.options.file:
            listed += [text for _, text in strings_in(self.options.file)]
        return {tuple(words): term for term in listed if (words := plain_words(term))}

    @cached_property
    def _lengths(self) -> Sequence[int]:
        return sorted({len(term) for term in self._terms})
