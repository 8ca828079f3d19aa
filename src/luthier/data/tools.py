"""Functions that an assistant may call, as chat templates take them, or in words where a template knows none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from luthier.data.examples import Message

CALLABLE = "You can call these functions, with a JSON object of name and arguments:"
"""What a system message says before the functions, where a template has no place for them."""


def as_functions(tools: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Tools as templates expect them: `{"type": "function", "function": ...}`, also where rows have only the inside."""
    return tuple(tool if "function" in tool else {"type": "function", "function": dict(tool)} for tool in tools)


def with_tools_described(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Messages whose system message, an own one or a new one, describes the tools of `as_functions`."""
    described = "\n".join([CALLABLE, *(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)])
    if messages[0].role == "system":
        return (replace(messages[0], content=f"{messages[0].content}\n\n{described}"), *messages[1:])
    return (Message("system", described), *messages)
