"""FinGPT's instruction rows in its own words: `{"instruction": "...", "input": "...", "output": "positive"}`.

What it was trained on reads "Instruction: ...\\nInput: ...\\nAnswer: positive", without the second line where there is
no input (https://github.com/AI4Finance-Foundation/FinGPT). This format writes the first two lines, the template `plain`
the last: together they are its prompt, character for character. With any other template the same words are the user's
message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from luthier.data.examples import Conversation, Message, Row, UnreadableRow
from luthier.data.formats import find_column, readable_share, text_in

_CHOICE = re.compile(r"choose .*\{[\w &-]+(?:/[\w &-]+)+\}", re.IGNORECASE)
_WRITTEN = re.compile(r"\s*Instruction: .*Answer:\s*$", re.DOTALL)
_ANSWER = re.compile(r"\n?Answer:\s*$")


class Fingpt:
    """Instruction, optional input and output, or the two columns that FinGPT's own preparation makes of them."""

    columns: ClassVar[Mapping[str, str]] = {
        "instruction": "what is asked",
        "input": "what it is asked about (optional)",
        "output": "the answer",
        "context": "in place of instruction and input: the whole prompt, from Instruction: to Answer:",
        "target": "in place of output: the answer to such a prompt",
    }

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most prompts are FinGPT's: written out, or asking to choose from {a/b/c}; others are `alpaca`'s."""
        own = sum(any(_says_so(value) for value in row.values.values()) for row in rows)
        return 0.98 * readable_share(self, rows) if own >= 0.8 * len(rows) > 0 else 0.0

    def roles(self, row: Row) -> dict[str, str]:
        """The prompt's columns and the answer's."""
        try:
            written = {role: find_column(row, self.mapping, role, (role,)) for role in ("context", "target")}
        except UnreadableRow:
            if self.mapping.keys() & {"context", "target"}:
                raise
        else:
            return written
        required = {role: find_column(row, self.mapping, role, (role,)) for role in ("instruction", "output")}
        below = self.mapping.get("input", "input")
        return required | ({"input": below} if below in row.values else {})

    def example(self, row: Row) -> Conversation:
        """FinGPT's prompt without its last line, and the answer."""
        roles = self.roles(row)
        texts = {
            role: text_in(row.values[column], f"column '{column}'", empty=role == "input")
            for role, column in roles.items()
        }
        if "context" in texts:
            prompt, answer = _ANSWER.sub("", texts["context"]), texts["target"]
        else:
            below = f"\nInput: {texts['input']}" if texts.get("input") else ""
            prompt, answer = f"Instruction: {texts['instruction']}{below}", texts["output"]
        return Conversation((Message("user", prompt), Message("assistant", answer)))


def _says_so(value: object) -> bool:
    return isinstance(value, str) and bool(_CHOICE.search(value) or _WRITTEN.match(value))
