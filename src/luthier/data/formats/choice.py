"""A question with options: `{"question": "1 + 1?", "options": ["2", "3"], "answer": "A"}`.

Options are a list, an object of letter and text, objects with a letter and a text under common names, or columns A, B,
C, ...; the answer is a letter, the option's number from 0, or its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any, ClassVar

from luthier.data.examples import Labelled, Row, UnreadableRow
from luthier.data.formats import describe, find_column, find_optional, label_in, readable_share, text_in

QUESTION_NAMES = ("question", "problem", "stem", "query", "题目", "问题")
OPTIONS_NAMES = ("options", "choices", "answer_option_list", "candidates", "选项")
ANSWER_NAMES = ("answer_value", "answerkey", "answer_idx", "answer", "label", "cop", "答案")
CONTEXT_NAMES = ("context", "passage", "article", "材料", "文章")
LETTER_KEYS = ("aoVal", "label", "key", "letter", "id")
TEXT_KEYS = ("content", "text", "value")
COLUMNS = (tuple(ascii_uppercase[:10]), tuple(f"op{letter}" for letter in "abcde"))
"""Columns of one option each."""


class Choice:
    """Question and options as the text, the right option's letter as the label."""

    columns: ClassVar[Mapping[str, str]] = {
        "question": "what is asked",
        "options": "the options (optional where they stand in columns A, B, C, ...)",
        "answer": "the right one: its letter, its number from 0, or its text",
        "context": "a text that it is asked about (optional)",
    }

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have options with the answer among them."""
        return 0.97 * readable_share(self, rows)

    def roles(self, row: Row) -> dict[str, str]:
        """Question and answer, and the columns of options and context when there are any."""
        return (
            {"question": find_column(row, self.mapping, "question", QUESTION_NAMES)}
            | find_optional(row, self.mapping, "options", OPTIONS_NAMES)
            | {"answer": find_column(row, self.mapping, "answer", ANSWER_NAMES)}
            | find_optional(row, self.mapping, "context", CONTEXT_NAMES)
        )

    def example(self, row: Row) -> Labelled:
        """The context, the question and an option a line, with the right letter."""
        roles = self.roles(row)
        context = text_in(row.values.get(roles.get("context", "")), "the context", empty=True).strip()
        question = text_in(row.values[roles["question"]], f"column '{roles['question']}'").strip()
        if "options" in roles:
            options = _options(row.values[roles["options"]], f"column '{roles['options']}'")
        else:
            options = _in_columns(row)
        if len(options) < 2:
            raise UnreadableRow("a question without two options")
        listed = "\n".join(f"{letter}. {text}" for letter, text in options.items())
        asked = f"{context}\n\n{question}\n{listed}" if context else f"{question}\n{listed}"
        asked = text_in(asked, "the question with its options")
        return Labelled(asked, _letter(row.values[roles["answer"]], options, f"column '{roles['answer']}'"))


def _options(value: Any, what: str) -> dict[str, str]:
    """Letter -> text, in order."""
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        letters = value.get("label") or ascii_uppercase
        pairs = list(zip(map(str, letters), value["text"], strict=False))
    elif isinstance(value, dict):
        pairs = [(str(letter), text) for letter, text in value.items()]
    elif isinstance(value, list):
        pairs = [_pair(item, letter) for letter, item in zip(ascii_uppercase, value, strict=False)]
    else:
        raise UnreadableRow(f"{what} is {describe(value)}, expected options")
    return {letter.strip(): text_in(text, f"option {letter} of {what}").strip() for letter, text in pairs}


def _pair(item: Any, letter: str) -> tuple[str, Any]:
    """A text beside the letter of its place, or an object (perhaps alone in a list) that names its own."""
    if isinstance(item, list) and len(item) == 1:
        [item] = item
    if not isinstance(item, dict):
        return letter, item
    named = next((str(item[key]) for key in LETTER_KEYS if key in item), letter)
    return named, next((item[key] for key in TEXT_KEYS if key in item), None)


def _in_columns(row: Row) -> dict[str, str]:
    for names in COLUMNS:
        if names[0] in row.values and names[1] in row.values:
            found = {letter: row.values.get(name) for letter, name in zip(ascii_uppercase, names, strict=False)}
            return {
                letter: str(text).strip() for letter, text in found.items() if text is not None and str(text).strip()
            }
    raise UnreadableRow("missing column for options (such as options, choices, or A, B, C, D)")


def _letter(value: Any, options: Mapping[str, str], what: str) -> str:
    """The letter of the right option; a text of digits is rather an option's own text than its number."""
    answer = label_in(value, what)
    texts = [letter for letter, text in options.items() if text == answer] if isinstance(value, str) else []
    numbered = list(options)[int(answer) :][:1] if answer.isdecimal() else []
    letters = [letter for letter in (answer, answer.upper()) if letter in options]
    if not (found := [*letters, *texts, *numbered]):
        raise UnreadableRow(f"{what} is '{answer[:40]}', which is none of the options")
    return found[0]
