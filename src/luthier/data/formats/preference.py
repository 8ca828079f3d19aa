"""A prompt with a better and a worse answer: `{"prompt": "...", "chosen": "...", "rejected": "..."}`.

The answers are texts, turns (`{"role": ..., "content": ...}` or `{"from": ..., "value": ...}`), whole conversations
whose common beginning is the prompt, or a list of the better and the worse one in a single column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.data.examples import Example, Message, Row, UnreadableRow
from luthier.data.examples import Preference as PreferenceExample
from luthier.data.formats import find_column, only, readable_share, text_in
from luthier.data.formats._chat import MESSAGE_ROLES, SHAREGPT_ROLES, read_transcript, read_turns

PROMPT_NAMES = (
    "prompt", "question", "instruction", "query", "conversations", "conversation", "messages", "input", "提示", "问题",
)  # fmt: skip
CHOSEN_NAMES = ("chosen", "chosen_response", "preferred", "better", "accepted", "response_chosen")
REJECTED_NAMES = ("rejected", "rejected_response", "dispreferred", "worse", "response_rejected")
ANSWERS_NAMES = ("output", "answers", "responses", "completions")

_SPEAKER = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")
_OPENED = re.compile(r"\n\nAssistant:\s*$")

Turns = list[Message]


class Preference:
    """Prompt, better answer and worse answer, in the layouts that people have."""

    columns: ClassVar[Mapping[str, str]] = {
        "prompt": "what is asked: a text or turns (optional where the answers are whole conversations)",
        "input": "what it is asked about, below the prompt (optional)",
        "system": "a system message (optional)",
        "chosen": "the better answer",
        "rejected": "the worse answer",
        "answers": "in place of both: a list of the better and the worse answer",
    }

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have two answers: more specific than any format of a prompt alone."""
        return readable_share(self, rows)

    def roles(self, row: Row) -> dict[str, str]:
        """The columns of the answers, and of the prompt and its parts where there are any."""
        roles = self._answers(row)
        for role, names in (("prompt", PROMPT_NAMES), ("input", ("input",)), ("system", ("system", "system_prompt"))):
            try:
                column = find_column(row, self.mapping, role, names)
            except UnreadableRow:
                if role in self.mapping:
                    raise
                continue
            if column not in roles.values():
                roles[role] = column
        return roles

    def _answers(self, row: Row) -> dict[str, str]:
        if "answers" not in self.mapping:
            try:
                return {
                    "chosen": find_column(row, self.mapping, "chosen", CHOSEN_NAMES),
                    "rejected": find_column(row, self.mapping, "rejected", REJECTED_NAMES),
                }
            except UnreadableRow:
                if self.mapping.keys() & {"chosen", "rejected"}:
                    raise
        try:
            column = find_column(row, self.mapping, "answers", ANSWERS_NAMES)
        except UnreadableRow:
            raise UnreadableRow("missing columns for two answers (such as chosen and rejected)") from None
        if not isinstance(row.values[column], list) or len(row.values[column]) != 2:
            raise UnreadableRow(f"column '{column}' is no list of a better and a worse answer")
        return {"answers": column}

    def example(self, row: Row) -> PreferenceExample:
        """The prompt and both answers of a row."""
        roles = self.roles(row)
        if "answers" in roles:
            named = [(value, roles["answers"]) for value in row.values[roles["answers"]]]
        else:
            named = [(row.values[roles[role]], roles[role]) for role in ("chosen", "rejected")]
        before, chosen = _answer(*named[0])
        other, rejected = _answer(*named[1])
        if before != other:
            raise UnreadableRow("the two conversations differ before their last answer")
        prompt = before or self._prompt(row, roles)
        if system := text_in(row.values.get(roles.get("system", "")), "the system message", empty=True):
            prompt = [Message("system", system), *prompt]
        if not any(message.role == "user" for message in prompt):
            raise UnreadableRow("a preference without any question")
        if prompt[-1].role == "assistant":
            raise UnreadableRow("the prompt ends with an answer")
        return PreferenceExample(tuple(prompt), chosen, rejected)

    def row(self, example: Example) -> dict[str, Any]:
        """Prompt and answers as turns, which nobody takes for a transcript."""
        pair = only(PreferenceExample, example)
        answers = {role: [{"role": "assistant", "content": getattr(pair, role)}] for role in ("chosen", "rejected")}
        return {"prompt": [message.as_dict() for message in pair.messages], **answers}

    def _prompt(self, row: Row, roles: Mapping[str, str]) -> Turns:
        if "prompt" not in roles:
            raise UnreadableRow(f"missing column for prompt (such as {', '.join(PROMPT_NAMES[:3])})")
        column = roles["prompt"]
        value = row.values[column]
        if isinstance(value, list):
            return _turns(value, column)
        asked = text_in(value, f"column '{column}'")
        if turns := read_transcript(_OPENED.sub("", asked), _SPEAKER):
            return turns
        below = text_in(row.values.get(roles.get("input", "")), "the input", empty=True)
        return [Message("user", f"{asked}\n{below}" if below else asked)]


def _answer(value: Any, column: str) -> tuple[Turns, str]:
    """(the turns before it, none where it stands alone; the answer itself)."""
    if isinstance(value, str) and (turns := read_transcript(value, _SPEAKER)):
        pass
    elif isinstance(value, dict | list):
        turns = _turns(value if isinstance(value, list) else [value], column)
    else:
        return [], text_in(value, f"column '{column}'")
    if turns[-1].role != "assistant":
        raise UnreadableRow(f"column '{column}' does not end with the assistant's turn")
    return turns[:-1], turns[-1].text


def _turns(value: list[Any], column: str) -> Turns:
    """Turns with role and content, or with from and value."""
    shared = bool(value) and isinstance(value[0], dict) and "from" in value[0]
    keys = ("from", "value", SHAREGPT_ROLES) if shared else ("role", "content", MESSAGE_ROLES)
    return read_turns(value, column, *keys)
