"""The documentation: its code runs, its configurations are valid, its commands exist, its links lead somewhere."""

import importlib.util
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
from ruamel.yaml import YAML

from luthier import registry
from luthier.cli import frame
from luthier.config import RunConfig, parse_config
from luthier.data.examples import Example
from luthier.data.templates import named_templates
from luthier.models.architectures import TABLE
from luthier.recipes import recipes

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
TRANSLATED = [ROOT / "README.zh.md", *sorted((ROOT / "docs" / "zh").rglob("*.md"))]
"""Their code is that of the English pages, which `test_chinese.py` compares."""
WRITTEN_BY_RUNS = {"results.md"}
"""Pages that `make accept` writes: linked, whether they are there yet or not."""

CHEAP = {"schema", "recipes", "doctor"}
"""Commands that run here as they are documented; the others are only parsed."""

SMALLEST = {"model": {"base": "some/base"}, "data": {"train": "rows.jsonl"}}
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

CONFIG = """
name: documented
model: {{base: "{base}", dtype: float32}}
data:
  train: rows.csv
  labels: [negative, neutral, positive]
  instruction: "Choose from {{labels}}."
  max_length: 256
  split: {{test: 0.2, validation: 0.2}}
  clean: []
training: {{epochs: 1, batch_size: 8, max_steps: 2, checkpoint: {{every: null}}}}
evaluation: {{few_shot: 3, samples: 1, limit: 4, generate: {{max_new_tokens: 2}}}}
"""
EVENTS = {"positive": "wins an order from", "negative": "loses a customer to", "neutral": "has an office near"}


def blocks(page, *languages):
    return [(kind, text) for kind, text in FENCE.findall(page.read_text(encoding="utf-8")) if kind in languages]


def with_blocks(*languages):
    return [pytest.param(page, id=page.stem) for page in PAGES if blocks(page, *languages)]


def yaml_blocks():
    return [
        pytest.param(text, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, (_, text) in enumerate(blocks(page, "yaml"), start=1)
    ]


def commands():
    """Every `luthier ...` line of the documentation, as arguments, without comments and redirections."""
    lines = {
        line.partition(" > ")[0]
        for page in [*PAGES, *OTHERS]
        for _, text in blocks(page, "sh", "console")
        for line in text.splitlines()
        if line.startswith("luthier ")
    }
    return [shlex.split(line, comments=True)[1:] for line in sorted(lines)]


@pytest.fixture
def workshop(tmp_path, monkeypatch, tiny_llama):
    """A folder with what the examples name: config.yaml and its rows."""
    rows = [
        f'"{name} {event} the port of Turku",{label}'
        for name in (f"Company {number} of group {number * 7919 % 101}" for number in range(14))
        for label, event in EVENTS.items()
    ]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows[:40]]) + "\n")
    (tmp_path / "config.yaml").write_text(CONFIG.format(base=tiny_llama))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.integration
@pytest.mark.parametrize("page", with_blocks("python"))
def test_the_code_of_a_page_runs_from_top_to_bottom(page, workshop):
    names: dict[str, object] = {}
    for number, (_, code) in enumerate(blocks(page, "python"), start=1):
        exec(compile(code, f"{page.name}, block {number}", "exec"), names)
    assert len(names) > 1, "the blocks define something besides the builtins"


@pytest.mark.parametrize("text", yaml_blocks())
def test_every_configuration_is_valid(text):
    shown = YAML(typ="safe").load(text)
    assert set(shown) <= set(RunConfig.model_fields)
    if {"model", "data"} <= set(shown):
        parse_config(text)
        return
    data = {"data": SMALLEST["data"] | shown.get("data", {})}
    RunConfig.model_validate(SMALLEST | shown | data)


def test_the_cleaning_that_is_called_the_default_is_the_default():
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    _, shown = FENCE.findall(page.partition("The default is one:")[2])[0]
    default = [step.model_dump() for step in RunConfig.model_validate(SMALLEST).data.clean]
    assert YAML(typ="safe").load(shown)["data"]["clean"] == default


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_every_command_line_parses(arguments):
    words = 2 if " ".join(arguments[:2]) in frame.COMMANDS else 1
    name, rest = " ".join(arguments[:words]), arguments[words:]
    assert name in frame.COMMANDS
    generator().command_of(name).make_context(f"luthier {name}", rest)


@pytest.mark.parametrize("arguments", [a for a in commands() if a[0] in CHEAP], ids=" ".join)
def test_cheap_commands_run(arguments, workshop, capsys):
    assert frame.run(arguments) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    "page",
    [*PAGES, *OTHERS, *TRANSLATED, *sorted((ROOT / "docs" / "recipes").glob("*.md"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_somewhere(page):
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if target.name in WRITTEN_BY_RUNS:
            continue
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(page):
    """The headings of a page as Markdown turns them into anchors."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_what_the_code_says():
    for name, make in generator().PAGES.items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == make(), f"{name}: run python docs/generate.py"


def test_every_recipe_has_a_page_and_no_page_lacks_one():
    pages = {page.stem for page in (ROOT / "docs" / "recipes").glob("*.md")}
    assert pages == {recipe.name for recipe in recipes()}


def test_the_pages_name_everything_there_is():
    readme, models, rendering, page, training, tracking, architecture, index = (
        (ROOT / path).read_text(encoding="utf-8")
        for path in (
            *("README.md", "docs/models.md", "docs/rendering.md", "docs/recipes.md"),
            *("docs/training.md", "docs/tracking.md", "docs/architecture.md", "docs/index.md"),
        )
    )
    assert [name for name in frame.COMMANDS if f"| `{name}" not in readme] == []
    assert [family for family in TABLE if not re.search(rf"\b{re.escape(family)}[,.]", models)] == []
    assert [name for name in named_templates() if f"`{name}`" not in rendering] == []
    assert [recipe.name for recipe in recipes() if f"| [`{recipe.name}`](" not in page] == []
    plugins = [*registry.names("optimizer"), *registry.names("schedule")]
    assert [name for name in plugins if f"| `{name}` |" not in training] == []
    assert [name for name in registry.names("tracker") if f"| `{name}` |" not in tracking] == []
    assert [name for kind in ("task", "method") for name in registry.names(kind) if f"`{name}`" not in index] == []
    assert [kind.__name__ for kind in get_args(Example) if f"`{kind.__name__}`" not in architecture] == []


def test_the_picture_shows_every_room():
    picture = (ROOT / "docs" / "rooms.svg").read_text(encoding="utf-8")
    contract = re.search(r"^layers = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    rooms = re.findall(r"luthier\.(\w+)", contract[1])
    assert [room for room in rooms if f">{room}</text>" not in picture] == []


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    names = [page.name for page in PAGES[1:]] + [f"zh/{page.name}" for page in (ROOT / "docs" / "zh").glob("*.md")]
    assert [name for name in names if f" {name}\n" not in navigation] == []
