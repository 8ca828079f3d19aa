"""The same question in other words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from random import Random
from typing import Literal

from pydantic import Field

from luthier.data.augmentation import Augmentation, AugmentationOptions, asked_text, with_asked_text
from luthier.data.examples import Example, Labelled, Pair


class ParaphraseOptions(AugmentationOptions):
    """One question in several wordings; several questions are several steps."""

    name: Literal["paraphrase"] = "paraphrase"
    wordings: list[str] = Field(
        min_length=1,
        description="Wordings of one question. Labelled texts and pairs are asked them in place of data.instruction, "
        "with {labels} for the allowed labels; a conversation whose last question begins with one is asked the others.",
    )
    copies: int = Field(1, ge=1, description="New rows of each row: so many wordings, drawn by the seed.")


class Paraphrase(Augmentation):
    """Asks the same in other words; text and answer stay."""

    Options = ParaphraseOptions

    def variants(self, example: Example, random: Random) -> Iterator[tuple[Example, str]]:
        """One example for each drawn wording."""
        wordings = random.sample(self.options.wordings, len(self.options.wordings))
        for made in islice(self._asked_in(example, wordings), self.options.copies):
            yield made, "asked in other words"

    def _asked_in(self, example: Example, wordings: list[str]) -> Iterator[Example]:
        if isinstance(example, Labelled | Pair):
            used = self.data.instruction if example.instruction is None else example.instruction
            yield from (replace(example, instruction=wording) for wording in wordings if wording != used)
        elif question := asked_text(example):
            begins = max((wording for wording in wordings if question.startswith(wording)), key=len, default=None)
            if begins is not None:
                rest = question[len(begins) :]
                yield from (with_asked_text(example, wording + rest) for wording in wordings if wording != begins)
