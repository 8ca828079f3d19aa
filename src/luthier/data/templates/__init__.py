"""Prompt templates by name, one Jinja file each."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from luthier.errors import ConfigError
from luthier.registry import suggest


def named_templates() -> list[str]:
    """Names of the templates that ship with Luthier."""
    folder = files("luthier.data.templates")
    return sorted(entry.name.removesuffix(".jinja") for entry in folder.iterdir() if entry.name.endswith(".jinja"))


def template_text(name: str, tokenizer: Any) -> str:
    """The Jinja text of a template: `chat` is the model's own, text with Jinja marks is inline, else a named one.

    A model without a chat template gives an empty text: a classifier or running text needs none, and whatever does
    need one is refused when it is rendered.

    Raises:
        ConfigError: there is no template of that name.
    """
    if name == "chat":
        return str(tokenizer.chat_template or "")
    if "{{" in name or "{%" in name:
        return name
    if name not in named_templates():
        near = suggest(name, named_templates())
        raise ConfigError(
            f"there is no template named '{name}'" + (f"; did you mean '{near}'?" if near else ""),
            where="data.template",
            expected=f"chat, one of {', '.join(named_templates())}, or an inline Jinja template",
        )
    return (files("luthier.data.templates") / f"{name}.jinja").read_text(encoding="utf-8")
