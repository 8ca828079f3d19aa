"""Ways of making new training rows from those there are, one file each. Validation and test rows are never touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from luthier.data.examples import Conversation, Example, Labelled, MultiLabelled, Pair, Preference, Scored
from luthier.registry import Options

if TYPE_CHECKING:
    from luthier.config import DataConfig


class AugmentationOptions(Options):
    """What every way of making new rows has."""

    share: float = Field(1.0, gt=0, le=1, description="Share of the training rows that new ones are made of.")
    labels: list[str] | None = Field(None, description="Only of rows with one of these labels; null = of all.")
    seed: int = Field(42, description="Seed of everything that is drawn.")


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row made of another one.

    Attributes:
        parent: id of the row it was made of.
        example: what it is.
        change: what is different in it, for the ledger.
        refused: why it is not to be used; empty when it is.
    """

    parent: int
    example: Example
    change: str
    refused: str = ""


class Augmentation:
    """Base of all ways. A way overrides `variants`, or `make` where rows are better made many at a time.

    Every file of this package has one class of this shape, built from its options and the data's configuration.
    What it makes depends on the seed and the row alone, not on the rows around it.
    """

    Options: ClassVar[type[AugmentationOptions]]

    def __init__(self, options: Any, data: DataConfig) -> None:
        self.options = options
        self.data = data

    def files(self) -> Sequence[Path]:
        """Files that decide what is made: what they hold is part of the preparation's digest.

        Raises:
            ConfigError: there is no such file.
        """
        return ()

    def look(self, examples: Iterable[Example]) -> None:
        """All training rows, once, before any row is made."""

    def make(self, rows: Sequence[tuple[int, Example]]) -> Iterator[NewRow]:
        """New rows of some training rows, given as (row id, example)."""
        for row_id, example, random in self.chosen(rows):
            for made, change in self.variants(example, random):
                yield NewRow(row_id, made, change)

    def variants(self, example: Example, random: Random) -> Iterator[tuple[Example, str]]:
        """New examples of one, each with what is different in it; none when it does not lend itself to it."""
        return iter(())

    def chosen(self, rows: Sequence[tuple[int, Example]]) -> Iterator[tuple[int, Example, Random]]:
        """The rows that new ones are made of, each with its own source of chance."""
        for row_id, example in rows:
            random = Random(f"{self.options.seed} {self.options.name} {row_id}")
            wanted = self.options.labels is None or bool(set(answers(example)) & set(self.options.labels))
            if wanted and random.random() < self.options.share:
                yield row_id, example, random


def answers(example: Example) -> tuple[str, ...]:
    """The labels of an example, or the last answer of a conversation."""
    if isinstance(example, Conversation):
        return tuple(message.content for message in example.messages[-1:] if message.role == "assistant")
    return example.classes


def asked_text(example: Example) -> str | None:
    """The text that an example asks about, without its answer; None for running text and tagged words."""
    match example:
        case Labelled() | MultiLabelled() | Scored():
            return example.text
        case Pair():
            return example.source
        case Conversation() | Preference():
            return next((m.content for m in reversed(example.messages) if m.role == "user"), None)
        case _:
            return None


def with_asked_text(example: Example, text: str) -> Example:
    """The same example about another text.

    Raises:
        ValueError: it asks about none.
    """
    match example:
        case Labelled() | MultiLabelled() | Scored():
            return replace(example, text=text)
        case Pair():
            return replace(example, source=text)
        case Conversation() | Preference():
            last = max(place for place, message in enumerate(example.messages) if message.role == "user")
            messages = list(example.messages)
            messages[last] = replace(messages[last], content=text)
            return replace(example, messages=tuple(messages))
        case _:
            raise ValueError(f"a {type(example).__name__.lower()} asks about no text")
