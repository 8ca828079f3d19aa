"""Finds rows that share text with benchmarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from luthier.data.cleaning import CleaningStep, DroppedRow
from luthier.data.examples import Example, Row
from luthier.data.texts import texts
from luthier.data.words import plain_words
from luthier.registry import Options

if TYPE_CHECKING:
    from luthier.data.reading.sources import RowSource

_COMMON = 10
_LONGEST_PIECE = 3


class ContaminationOptions(Options):
    """Training rows that share runs of words with the rows of benchmark files.

    One shared run of 13 words is enough, as for GPT-3 (Brown et al. 2020, https://arxiv.org/abs/2005.14165, appendix
    C); runs that more than ten rows of a benchmark have in common are its wording, not its content. Texts shorter than
    a run must be equal.
    """

    name: Literal["contamination"] = "contamination"
    benchmarks: dict[str, str] = Field(
        min_length=1,
        description="Name -> file or folder of the benchmark, such as {gsm8k: benchmarks/gsm8k.jsonl}; every text in "
        "its rows counts.",
    )
    n: int = Field(13, ge=2, description="Words of a run; a Chinese character is a word.")
    jaccard: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Overlap of two texts' sets of runs from which on they are the same, for which n: 5 is usual; "
        "null = one shared run.",
    )
    action: Literal["drop", "warn"] = Field("drop", description="drop | warn (the row stays, and the ledger says so).")


class Contamination(CleaningStep):
    """Says which benchmark, and which row of it, a training row shares text with."""

    Options = ContaminationOptions
    training_only = True

    def __init__(self, options: ContaminationOptions) -> None:
        super().__init__(options)
        self.warns = options.action == "warn"
        self._hits: Counter[str] = Counter()

    def files(self) -> Sequence[RowSource]:
        """The benchmarks."""
        from luthier.data.cleaning._files import files_at

        return [file for path in self.options.benchmarks.values() for file in files_at(path)]

    def repair(self, example: Example, row: Row) -> tuple[Example, str | None]:
        """Changes nothing.

        Raises:
            DroppedRow: the row shares text with a benchmark.
        """
        for text in texts(example):
            found = self._found(plain_words(text))
            if found is not None:
                name, place = found
                self._hits[name] += 1
                raise DroppedRow(f"contamination: shares text with benchmark {name} ({place})")
        return example, None

    def counts(self) -> Mapping[str, int]:
        """Rows by benchmark."""
        return {f"rows that share text with {name}": self._hits[name] for name in self.options.benchmarks}

    def notes(self) -> Sequence[str]:
        """Benchmarks that were hit."""
        done = "stay" if self.warns else "dropped"
        return [f"contamination: {count} rows share text with {name} ({done})" for name, count in self._hits.items()]

    def _found(self, words: Sequence[str]) -> tuple[str, str] | None:
        """The first text of a benchmark that shares a run, or enough of them."""
        runs = set(_runs(words, self.options.n))
        shared = Counter(number for run in runs for number in self._index.get(run, ()))
        for number in sorted(shared):
            size = self._sizes[number]
            least = self.options.jaccard
            if least is None or shared[number] >= least * (len(runs) + size - shared[number]):
                return self._places[number]
        return None

    @cached_property
    def _index(self) -> dict[bytes, list[int]]:
        """Run -> the benchmarks' texts that have it."""
        from luthier.data.cleaning._files import strings_in

        index: dict[bytes, list[int]] = {}
        self._places: list[tuple[str, str]] = []
        self._sizes: list[int] = []
        for name, path in self.options.benchmarks.items():
            for place, text in strings_in(path):
                words = plain_words(text)
                if len(words) <= _LONGEST_PIECE:
                    continue  # a name or a letter of a choice is nobody's secret
                runs = set(_runs(words, self.options.n))
                for run in runs:
                    index.setdefault(run, []).append(len(self._places))
                self._places.append((name, place))
                self._sizes.append(len(runs))
        common = _COMMON if self.options.jaccard is None else len(self._places)
        return {run: numbers for run, numbers in index.items() if len(numbers) <= common}


def _runs(words: Sequence[str], n: int) -> Iterator[bytes]:
    """Hashes of all runs of n words; of a shorter text, the one of all it has."""
    if not words:
        return
    for start in range(max(len(words) - n + 1, 1)):
        yield blake2b(" ".join(words[start : start + n]).encode(), digest_size=8).digest()
