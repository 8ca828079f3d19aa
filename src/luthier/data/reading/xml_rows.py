"""Rows out of XML files: the elements below the root where they are alike, else the whole document as one.

An element becomes an object of its attributes and children, several children of one name a list; an element of text
only is that text, and with attributes beside it an object with the text under `text`. Namespaces are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO, cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from luthier.data.reading.json_rows import Item
from luthier.data.reading.lines import MAX_ROW_BYTES

_CHUNK = 1 << 16


def read_xml(text: TextIO) -> Iterator[Item]:
    """The rows of an XML document, without holding more than one of them.

    A document that is not well-formed ends with an item that says so: behind the break nothing can be told apart.
    """
    yield from _Document(text).rows()


class _Document:
    """Reads elements as they end and forgets those that are rows."""

    def __init__(self, text: TextIO) -> None:
        self.text = text
        self.parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
        self.root: Element | None = None
        self.first: Element | None = None
        self.depth = 0
        self.children = 0
        self.alike = False
        self.given = 0
        self.taken = 0

    def rows(self) -> Iterator[Item]:
        try:
            while chunk := self.text.read(_CHUNK):
                self.taken += len(chunk)
                self.parser.feed(chunk)
                yield from self._ended()
                if not self.alike and self.taken > MAX_ROW_BYTES:
                    yield Item(1, None, f"longer than {MAX_ROW_BYTES >> 20} MB, and not a list of like elements")
                    return
            self.parser.close()
            yield from self._ended()
        except (ParseError, UnicodeEncodeError) as error:
            yield Item(self.given + 1, None, f"not XML: {error}")
            return
        if self.root is not None and not self.alike:
            yield Item(1, _value(self.root[0] if len(self.root) == 1 and len(self.root[0]) else self.root))

    def _ended(self) -> Iterator[Item]:
        """Rows that are complete by now."""
        for event, element in cast("Iterator[tuple[str, Element]]", self.parser.read_events()):
            if event == "start":
                self.depth += 1
                if self.depth == 1:
                    self.root = element
                elif self.depth == 2:
                    yield from self._child(element)
            else:
                self.depth -= 1
                if self.depth == 1 and self.alike:
                    yield self._row(element)
                elif self.depth == 1 and self.first is None:
                    self.first = element

    def _child(self, element: Element) -> Iterator[Item]:
        """An element below the root begins: the second one tells whether they are alike."""
        self.children += 1
        if self.children == 2 and self.first is not None and self.first.tag == element.tag:
            self.alike = True
            yield self._row(self.first)

    def _row(self, element: Element) -> Item:
        self.given += 1
        item = Item(self.given, _value(element))
        if self.root is not None:
            self.root.remove(element)
        return item


def _value(element: Element) -> Any:
    """An element as text or as an object."""
    around = "".join([element.text or "", *(child.tail or "" for child in element)]).strip()
    fields: dict[str, Any] = dict(element.attrib)
    if around and len(element):  # words with marks in them, such as <i>
        around = "".join(element.itertext()).strip()
    elif len(element):
        for child in element:
            name, value = child.tag.rpartition("}")[2], _value(child)
            if name not in fields:
                fields[name] = value
            elif isinstance(fields[name], list):
                fields[name].append(value)
            else:
                fields[name] = [fields[name], value]
        return fields
    return {**fields, "text": around} if fields else around
