"""A text and what it becomes: `{"source": "...", "target": "..."}`, `{"translation": {"en": "...", "zh": "..."}}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from luthier.data.examples import Example, Row, UnreadableRow
from luthier.data.examples import Pair as PairExample
from luthier.data.formats import (
    INSTRUCTION,
    find_column,
    find_instruction,
    instruction_in,
    only,
    readable_share,
    text_in,
)

PAIRS = (
    ("source", "target"),
    ("src", "tgt"),
    ("source_text", "target_text"),
    ("source", "translation"),
    ("document", "summary"),
    ("article", "summary"),
    ("article", "highlights"),
    ("dialogue", "summary"),
    ("text", "summary"),
    ("english", "chinese"),
    ("原文", "译文"),
    ("源文", "译文"),
    ("英文", "中文"),
    ("正文", "摘要"),
    ("文章", "摘要"),
    ("文本", "摘要"),
)
LANGUAGE = re.compile(r"(en|zh|de|fr|es|pt|it|ru|ja|ko|ar)([-_].*)?")
"""Columns named by the language they are in, such as en and zh_CN."""

ROLES = ("source", "target")
NESTED = "translation"


class Pair:
    """Two columns, the source and the target, perhaps inside an object `translation`, and perhaps an instruction.

    Of two languages that nobody mapped, English is the source, else the one that comes first in the alphabet: the order
    of an object's fields may change from row to row.
    """

    columns: ClassVar[Mapping[str, str]] = {"source": "the text", "target": "what it becomes", **INSTRUCTION}

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have both."""
        return 0.8 * readable_share(self, rows)

    def row(self, example: Example) -> dict[str, Any]:
        """Both texts, and an instruction of its own; `source` alone is also what people call where a row comes from."""
        pair = only(PairExample, example)
        own = {} if pair.instruction is None else {"instruction": pair.instruction}
        return {"source_text": pair.source, "target_text": pair.target, **own}

    def roles(self, row: Row) -> dict[str, str]:
        """The columns of source and target, or the fields of `translation`, and the instruction's when there is one."""
        own, row = find_instruction(row, self.mapping), _opened(row)
        if self.mapping.keys() & set(ROLES):
            return {
                role: find_column(row, self.mapping, role, [pair[place] for pair in PAIRS])
                for place, role in enumerate(ROLES)
            } | own
        here = {str(column).strip().casefold(): column for column in row.values}
        named = next(((one, other) for one, other in PAIRS if one in here and other in here), None) or _languages(here)
        return dict(zip(ROLES, (here[name] for name in named), strict=True)) | own

    def example(self, row: Row) -> PairExample:
        """Source and target of a row, and its own instruction."""
        values, roles = _opened(row).values, self.roles(row)
        source, target = (text_in(values[roles[role]], f"column '{roles[role]}'").strip() for role in ROLES)
        return PairExample(source, target, instruction_in(row, roles))


def _opened(row: Row) -> Row:
    """The row, or what stands in its object `translation`."""
    inner = row.values.get(NESTED)
    return replace(row, values=inner) if isinstance(inner, Mapping) else row


def _languages(names: Mapping[str, str]) -> tuple[str, str]:
    found = sorted((name for name in names if LANGUAGE.fullmatch(name)), key=lambda name: (name[:2] != "en", name))
    if len(found) != 2:
        several = f": map two of {', '.join(found)}" if len(found) > 2 else " (such as source and target)"
        raise UnreadableRow(f"missing columns for source and target{several}")
    return found[0], found[1]
