"""Objects out of JSON files, streamed: an array, an object of id -> row, an object around an array, or JSON Lines."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

from luthier.data.reading.lines import MAX_ROW_BYTES, Line

_CHUNK = 1 << 18
_SEPARATORS = re.compile(r"[\s,]*")
_NEXT = re.compile(r"\}\s*,\s*(?=[{\"])")
_CUT_OFF = "the file ends before its JSON does: it is cut off"
_decoder = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Item:
    """One value of a JSON file.

    Attributes:
        position: its 1-based position in the array or object; in JSON Lines its line.
        value: what was read.
        problem: why it cannot be used, None when it can.
    """

    position: int
    value: Any
    problem: str | None = None


def read_json_lines(lines: Iterator[Line]) -> Iterator[Item]:
    """One value a line; blank lines are no rows."""
    for line in lines:
        if line.problem:
            yield Item(line.number, None, line.problem)
        elif line.text.strip():
            try:
                yield Item(line.number, json.loads(line.text))
            except (ValueError, RecursionError) as error:
                yield Item(line.number, None, _not_json(error))


def read_json_document(text: TextIO) -> Iterator[Item]:
    """The rows of one JSON document, without holding more than one of them.

    A broken element costs itself: reading goes on at the next one that looks like a beginning.
    """
    yield from _Document(text).rows()


def _not_json(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg[0].lower()}{error.msg[1:]} at character {error.pos + 1}"
    return f"not JSON: {'nested too deeply' if isinstance(error, RecursionError) else error}"


class _Document:
    """A window on a JSON text that moves forward."""

    def __init__(self, text: TextIO) -> None:
        self.text = text
        self.window = ""
        self.at = 0
        self.ended = False

    def rows(self) -> Iterator[Item]:
        first = self._peek()
        if first == "[":
            self.at += 1
            whole = yield from self._elements("]")
            self.at += 1
            if whole and self._peek():
                yield Item(1, None, "not JSON: there is more after the end of the array")
        elif first == "{":
            yield from self._object()
        elif first:
            yield Item(1, None, "not JSON: neither an array nor an object")

    def _object(self) -> Iterator[Item]:
        """Object of id -> row, or a wrapper around an array, or rows one after the other, by its first value."""
        start = self.at
        self.at += 1
        key = self._key() if self._peek() == '"' else None
        opening = self._peek() if key is not None else ""
        if opening == "[" and self._wraps_rows():
            self.at += 1
            yield from self._elements("]")
        elif opening == "{":
            self.at = start + 1
            yield from self._elements("}")
        else:
            self.at = start
            yield from self._elements("")

    def _wraps_rows(self) -> bool:
        here = self.at
        self.at += 1
        found = self._peek() == "{"
        self.at = here
        return found and here < _CHUNK

    def _elements(self, closing: str) -> Generator[Item, None, bool]:
        """Elements up to a closing bracket ("" = the end of the file); returns whether it was reached."""
        position = 0
        while (head := self._peek()) != closing:
            position += 1
            if not head:
                yield Item(position, None, _CUT_OFF)
                return False
            value, problem = self._element(closing)
            yield Item(position, value, problem)
            if problem and not self._resynchronise():
                return False
        return True

    def _element(self, closing: str) -> tuple[Any, str | None]:
        if closing != "}":
            return self._value()
        key = self._key()
        if key is None:
            return None, "not JSON: a key was expected"
        self._peek()
        value, problem = self._value()
        return ({"id": key, **value} if isinstance(value, dict) else value), problem

    def _key(self) -> str | None:
        key, problem = self._value()
        if problem or not isinstance(key, str) or self._peek() != ":":
            return None
        self.at += 1
        return key

    def _peek(self) -> str:
        """Moves to the next character that is no separator; empty at the end."""
        while True:
            match = _SEPARATORS.match(self.window, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.window):
                return self.window[self.at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Drops what was read from the window and reads as much again as is left in it."""
        chunk = self.text.read(max(_CHUNK, len(self.window) - self.at))
        if not chunk:
            self.ended = True
            return False
        self.window, self.at = self.window[self.at :] + chunk, 0
        return True

    def _value(self) -> tuple[Any, str | None]:
        while True:
            try:
                value, end = _decoder.raw_decode(self.window, self.at)
            except json.JSONDecodeError as error:
                if self._could_go_on(error):
                    if len(self.window) - self.at > MAX_ROW_BYTES:
                        return None, f"longer than {MAX_ROW_BYTES >> 20} MB"
                    if self._more():
                        continue
                    return None, _CUT_OFF
                return None, _not_json(error)
            except (ValueError, RecursionError) as error:
                return None, _not_json(error)
            if end == len(self.window) and self._more():
                continue  # a number at the window's edge may go on
            self.at = end
            return value, None

    def _could_go_on(self, error: json.JSONDecodeError) -> bool:
        """Whether the error is only that the window ends; an escape or a word such as `false` is at most 12 long."""
        return error.msg.startswith("Unterminated string") or error.pos >= len(self.window) - 12

    def _resynchronise(self) -> bool:
        """Moves to the next element after a broken one; False when there is none."""
        while not (match := _NEXT.search(self.window, self.at)):
            keep = min(len(self.window) - self.at, 64)
            self.at = len(self.window) - keep
            if not self._more():
                return False
        self.at = match.end()
        return True
