"""Instructions in the Alpaca layout: `{"instruction": "...", "input": "...", "output": "..."}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Conversation, Example, Message, Row, UnreadableRow
from luthier.data.formats import find_column, readable_share, text_in
from luthier.data.formats._chat import exchanges


class Alpaca:
    """Instruction, optional input below it, output; optional system message and earlier turns."""

    columns: ClassVar[Mapping[str, str]] = {
        "instruction": "what is asked",
        "input": "what it is asked about (optional)",
        "output": "the answer",
        "system": "a system message (optional)",
        "history": "earlier turns: pairs of question and answer (optional)",
    }

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have an instruction and an output: more specific than input and output alone."""
        return 0.95 * readable_share(self, rows)

    def example(self, row: Row) -> Conversation:
        """A conversation: system, earlier turns, instruction with its input, output."""
        instruction = self._required(row, "instruction")
        below = self._optional(row, "input")
        messages = [Message("system", system)] if (system := self._optional(row, "system")) else []
        for question, answer in self._history(row):
            messages += [Message("user", question), Message("assistant", answer)]
        asked = f"{instruction}\n{below}" if below else instruction
        messages += [Message("user", asked), Message("assistant", self._required(row, "output"))]
        return Conversation(tuple(messages))

    def row(self, example: Example) -> dict[str, Any]:
        """The last question with its answer, those before it as history."""
        system, pairs = exchanges(example)
        *earlier, (asked, said) = pairs
        row: dict[str, Any] = {"instruction": asked, "input": "", "output": said}
        row |= {"system": system} if system else {}
        return row | ({"history": [list(pair) for pair in earlier]} if earlier else {})

    def roles(self, row: Row) -> dict[str, str]:
        """Instruction and output, and the optional columns there are."""
        required = {role: find_column(row, self.mapping, role, (role,)) for role in ("instruction", "output")}
        optional = {role: self.mapping.get(role, role) for role in ("input", "system", "history")}
        return required | {role: column for role, column in optional.items() if column in row.values}

    def _required(self, row: Row, role: str) -> str:
        column = find_column(row, self.mapping, role, (role,))
        return text_in(row.values[column], f"column '{column}'")

    def _optional(self, row: Row, role: str) -> str:
        value = row.values.get(self.mapping.get(role, role))
        return text_in(value, f"column '{self.mapping.get(role, role)}'", empty=True)

    def _history(self, row: Row) -> list[tuple[str, str]]:
        column = self.mapping.get("history", "history")
        turns = row.values.get(column) or []
        if not isinstance(turns, list) or not all(isinstance(turn, list | tuple) and len(turn) == 2 for turn in turns):
            raise UnreadableRow(f"column '{column}' is no list of [question, answer] pairs")
        return [(text_in(asked, f"column '{column}'"), text_in(said, f"column '{column}'")) for asked, said in turns]
