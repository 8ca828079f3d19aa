"""The user's own rules: regular expressions that replace or drop."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from luthier.data.cleaning import DroppedRow, TextRepair
from luthier.data.examples import Example, Row
from luthier.data.texts import Change, texts
from luthier.registry import Options


class Rule(BaseModel):
    """A pattern, and what happens where it is found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[^;:]+$", description="What the ledger and the report call it.")
    pattern: str = Field(description="Regular expression, as Python knows it; (?i) at its beginning ignores case.")
    replace: str | None = Field(
        None, description=r"Put in its place; \1 is the first group. null = the row is dropped when a text has a match."
    )

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return pattern


class RulesOptions(Options):
    """Regular expressions that replace something in texts, or drop the row."""

    name: Literal["rules"] = "rules"
    rules: list[Rule] = Field(min_length=1, description="The rules, in order: those that drop are asked first.")


class Rules(TextRepair):
    """Every rule counts by its name."""

    Options = RulesOptions

    def repair(self, example: Example, row: Row) -> tuple[Example, str | None]:
        """Replaces.

        Raises:
            DroppedRow: a rule drops the row, or nothing is left of a text.
        """
        for rule in self.options.rules:
            if rule.replace is None and any(re.search(rule.pattern, text) for text in texts(example)):
                raise DroppedRow(f"rules: {rule.name}")
        return super().repair(example, row)

    def changes(self) -> Sequence[tuple[str, Change]]:
        """See `TextRepair.changes`."""
        return [
            (f"rule: {rule.name}", partial(re.compile(rule.pattern).sub, rule.replace))
            for rule in self.options.rules
            if rule.replace is not None
        ]
