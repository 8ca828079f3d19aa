"""Field types for the parts of a configuration that a plugin owns: `{name: ..., its options}` or just the name."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from luthier import registry

DEFAULTS = {
    "task": "causal_lm",
    "method": "lora",
    "optimizer": "adamw",
    "schedule": "cosine",
    "cleaning": "deduplicate",
}
"""The plugin that is meant when a configuration names none."""


def default_options(kind: str) -> registry.Options:
    """The options of the plugin that is meant when a configuration names none."""
    options: registry.Options = registry.load(kind, DEFAULTS[kind]).Options()
    return options


def _name_of(value: Any) -> str | None:
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    return None if name is None else str(name)


def plugin_field(kind: str, *, default: str | None = None) -> Any:
    """The type of a field that takes any plugin of `kind`, validated by the plugin's own `Options`.

    Args:
        kind: the plugins' kind.
        default: the plugin that is meant by options without a name.

    Example:
        `lora`, `{name: lora, rank: 8}` and, with default="lora", `{rank: 8}` all become a `LoraOptions`.
    """

    def named(value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        return {"name": default, **value} if default and isinstance(value, dict) else value

    known = registry.names(kind)
    options = [registry.load(kind, name).Options for name in known]
    members = [Annotated[model, Tag(name)] for name, model in zip(known, options, strict=True)]
    if len(members) == 1:
        members.append(Annotated[registry.Options, Tag("")])  # a tagged union wants two members
    short = Literal[tuple(known)]  # type: ignore[valid-type]
    return Annotated[
        Union[tuple(members)],  # noqa: UP007
        Discriminator(_name_of),
        BeforeValidator(named, json_schema_input_type=Union[short, *options]),
    ]


def plugin_name(kind: str, *, also: str | None = None) -> Any:
    """The type of a field that takes just the name of a plugin of `kind`, or the word `also`."""
    known = ([also] if also else []) + registry.names(kind)

    def check(name: str) -> str:
        if name not in known:
            near = registry.suggest(name, known)
            raise ValueError(
                f"there is no {kind} '{name}'; " + (f"did you mean '{near}'?" if near else f"known: {', '.join(known)}")
            )
        return name

    return Annotated[str, AfterValidator(check), Field(json_schema_extra={"enum": list(known)})]
