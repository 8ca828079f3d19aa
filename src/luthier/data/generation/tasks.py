"""Instruction tasks: out of rows, into a prompt, out of what a model wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from luthier.data.examples import Conversation, Example, Labelled, Pair, is_text, visible
from luthier.endpoint import Messages

KEYS = ("instruction", "input", "output")

_SYSTEM = "You write training examples for a language model: tasks as people really set them, with right answers."
_REQUEST = """\
Write {count} new examples of the kind shown below, in the same language. Vary what they are about, how they are \
worded, how long and how hard they are. Do not repeat or reword an example, and ask for nothing that text alone cannot \
answer.
{about}\
Write each as one JSON object on a line of its own with the keys "instruction", "input" (may be empty) and "output", \
and nothing else.

Examples:
{examples}
"""
_REQUEST_ABOUT = "What the examples are for: {about}\n"


@dataclass(frozen=True, slots=True)
class Task:
    """An instruction, what it is about (may be empty), and the right answer."""

    instruction: str
    input: str
    output: str

    @property
    def question(self) -> str:
        """What is asked: the text by which tasks are compared."""
        return f"{self.instruction}\n{self.input}" if self.input else self.instruction

    def to_json(self) -> str:
        """One line with the three keys."""
        return json.dumps({key: getattr(self, key) for key in KEYS}, ensure_ascii=False)


def task_of(example: Example, instruction: str | None) -> Task | None:
    """An example as a task; None for kinds that are none, such as running text.

    Args:
        example: a row's example.
        instruction: what labelled texts and pairs are asked.
    """
    match example:
        case Conversation():
            asked = next((m.content for m in reversed(example.messages) if m.role == "user"), None)
            last = example.messages[-1]
            return Task(asked, "", last.content) if asked and last.role == "assistant" else None
        case Labelled(text, answer, own) | Pair(text, answer, own):
            asked = own or instruction
            return Task(asked, text, answer) if asked else Task(text, "", answer)
        case _:
            return None


def prompt(examples: Sequence[Task], count: int, about: str | None) -> Messages:
    """What a model is asked for `count` new tasks."""
    request = _REQUEST.format(
        count=count,
        about=_REQUEST_ABOUT.format(about=about) if about else "",
        examples="\n".join(task.to_json() for task in examples),
    )
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": request}]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A task that a model proposed, or what it wrote in place of one.

    Attributes:
        task: the task; None when it is none.
        text: what it wrote, as far as it is no task.
        problem: why it is none; empty when it is one.
    """

    task: Task | None
    text: str = ""
    problem: str = ""


def candidates(reply: str, *, cut: bool) -> Iterator[Candidate]:
    """The tasks in a reply: JSON objects, one a line, in a list, in an object around one (as models write in JSON mode)
    or in a fenced block, with or without words around."""
    decoder = json.JSONDecoder()
    place, found = reply.find("{"), False
    while place >= 0:
        found = True
        try:
            value, end = decoder.raw_decode(reply, place)
        except json.JSONDecodeError:
            end = _next_object(reply, place)
            problem = "cut off" if cut and end == len(reply) else "not JSON"
            yield Candidate(None, reply[place:end].strip(), problem)
        else:
            yield from _wrapped(value) or [_candidate(value, reply[place:end])]
        place = reply.find("{", end)
    if not found:
        yield Candidate(None, reply.strip(), "the reply has no JSON object")


def _next_object(reply: str, place: int) -> int:
    """Where the next object may begin: behind a broken one, at a line or a list that opens a brace."""
    following = re.compile(r"[\n\[]\s*\{").search(reply, place)
    return following.start() if following else len(reply)


def _wrapped(value: dict[str, object]) -> list[Candidate]:
    """What an object around a list of objects holds; nothing when it is another one."""
    held = next((each for each in value.values() if isinstance(each, list)), [])
    if "instruction" in value or "output" in value or not any(isinstance(each, dict) for each in held):
        return []
    return [_candidate(each, visible(json.dumps(each, ensure_ascii=False))) for each in held]


def _candidate(value: object, text: str) -> Candidate:
    fields = value if isinstance(value, dict) else {}
    values = [each if isinstance(each := fields.get(key), int | float) else each or "" for key in KEYS]
    if "instruction" not in fields or "output" not in fields:
        return Candidate(None, text, "an object without instruction or output")
    if not all(isinstance(each, str | int | float) and is_text(str(each)) for each in values):
        return Candidate(None, text, "a value that is no text")
    return Candidate(Task(*(str(each).strip() for each in values)))
