"""BELLE's conversations: `{"instruction": "Human:Hi\\nAssistant:Hello!\\nHuman:Why?\\nAssistant:", "output": "So."}`.

Its rows of a single instruction have the `alpaca` layout, those with turns of their own the `sharegpt` one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from luthier.data.examples import Conversation, Message, Row, UnreadableRow
from luthier.data.formats import find_column, readable_share, text_in
from luthier.data.formats._chat import read_transcript

_SPEAKER = re.compile(r"(?:^|\n)\s*(Human|Assistant)[:：]")
_OPENED = re.compile(r"(?:^|\n)\s*Assistant[:：]\s*$")


class Belle:
    """A transcript that ends where the assistant is to speak, and what it says."""

    columns: ClassVar[Mapping[str, str]] = {
        "instruction": "the conversation so far, each turn behind Human: or Assistant:",
        "output": "the last answer",
    }

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most instructions are transcripts, which `alpaca` would take for one question."""
        return 0.98 * readable_share(self, rows)

    def roles(self, row: Row) -> dict[str, str]:
        """The transcript's column and the answer's."""
        return {role: find_column(row, self.mapping, role, (role,)) for role in self.columns}

    def example(self, row: Row) -> Conversation:
        """The turns of a row, the output as the last one."""
        instruction, output = self.roles(row).values()
        turns = read_transcript(_OPENED.sub("", text_in(row.values[instruction], f"column '{instruction}'")), _SPEAKER)
        if not turns or turns[-1].role != "user":
            raise UnreadableRow(f"column '{instruction}' is no conversation that ends with Human: and what was asked")
        answer = text_in(row.values[output], f"column '{output}'")
        return Conversation((*turns, Message("assistant", answer.strip())))
