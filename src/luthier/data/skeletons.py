"""Chat templates that only put contents in between: what they write is known after one rendering.

Most chat templates look at the roles of messages and print their contents as they stand. Then two conversations with
the same roles differ in nothing but the contents, and a template need not run for every row. Whether a template is of
this kind is read off its syntax tree, not guessed: a content may stand only in what is printed, alone or joined by `+`
and `~` with other texts. One that trims, tests, cuts or keeps a content runs for every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import nodes

_FIELDS = ("role", "name", "tool_calls", "tool_call_id", "reasoning_content")
"""What else a template may ask of a message: a skeleton is made for its roles, and the others are never set."""

_NEIGHBOURS = ("previtem", "nextitem", "changed")
"""Ways from a loop to messages."""

_MARK = "\ue000{}\ue001"
"""Stands for a content; of a private area of Unicode, so that no template writes it."""


def marks(count: int) -> list[str]:
    """Contents by which a skeleton is found."""
    return [_MARK.format(number) for number in range(count)]


class Skeleton:
    """What a template writes around the contents of messages."""

    def __init__(self, rendered: str, count: int) -> None:
        pieces: list[str | int] = [rendered]
        for number, mark in enumerate(marks(count)):
            pieces = [part for piece in pieces for part in _parted(piece, mark, number)]
        self._texts = ["" if isinstance(piece, int) else piece for piece in pieces]
        self._gaps = [(place, piece) for place, piece in enumerate(pieces) if isinstance(piece, int)]

    def fill(self, contents: Sequence[str]) -> str:
        """The text with these contents."""
        texts = self._texts.copy()
        for place, number in self._gaps:
            texts[place] = contents[number]
        return "".join(texts)


def _parted(piece: str | int, mark: str, number: int) -> list[str | int]:
    if isinstance(piece, int):
        return [piece]
    parts: list[str | int] = []
    for place, text in enumerate(piece.split(mark)):
        parts += [number, text] if place else [text]
    return parts


@lru_cache(maxsize=16)
def only_prints_contents(template: str) -> bool:
    """Whether a template does nothing with the contents of messages but print them."""
    from jinja2 import Environment, TemplateSyntaxError, nodes

    try:
        tree = Environment().parse(template)
    except TemplateSyntaxError:  # a tag that only some readers of templates know
        return False
    if any(tree.find_all((nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.AssignBlock))) or any(
        node.attr in _NEIGHBOURS for node in tree.find_all(nodes.Getattr)
    ):
        return False
    steps = [(node.iter, node.target) for node in tree.find_all(nodes.For)]
    steps += [(node.node, node.target) for node in tree.find_all(nodes.Assign)]
    holding = {"messages"}
    while True:  # names that messages are given to, and names that these are given to
        named = {to.name for what, to in steps if isinstance(to, nodes.Name) and _holds(what, holding)}
        if named <= holding:
            return _harmless(tree, holding)
        holding |= named


def _holds(node: nodes.Node, holding: set[str]) -> bool:
    """Whether an expression is messages, some of them, or one of them."""
    from jinja2 import nodes

    if isinstance(node, nodes.Getitem):
        place = node.arg
        return not (isinstance(place, nodes.Const) and isinstance(place.value, str)) and _holds(node.node, holding)
    return isinstance(node, nodes.Name) and node.name in holding


def _harmless(node: nodes.Node, holding: set[str], printed: bool = False) -> bool:
    """Whether messages below a node are only walked through, asked for what is no content, or their content printed."""
    from jinja2 import nodes

    if isinstance(node, nodes.Getitem | nodes.Getattr) and _holds(node.node, holding):
        key = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
        if isinstance(key, str):
            return printed if key == "content" else key in _FIELDS
    if isinstance(node, nodes.For | nodes.Assign):
        source = node.iter if isinstance(node, nodes.For) else node.node
        if _holds(source, holding):
            rest = [child for child in node.iter_child_nodes() if child is not source and child is not node.target]
            return isinstance(node.target, nodes.Name) and all(_harmless(child, holding) for child in rest)
    if isinstance(node, nodes.Filter) and node.name in ("length", "count") and node.node and _holds(node.node, holding):
        return True
    if isinstance(node, nodes.Name):
        return node.name not in holding
    inside = isinstance(node, nodes.Output) or (printed and isinstance(node, nodes.Add | nodes.Concat))
    return all(_harmless(child, holding, inside) for child in node.iter_child_nodes())
