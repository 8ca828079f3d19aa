"""What people are told in another language: it is there, it is used, and it has the same values in it."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from jinja2 import nodes
from pydantic import BaseModel

from luthier import registry
from luthier.config import RunConfig
from luthier.data.ledger import Fate
from luthier.data.profile import Language as LanguageOfTexts
from luthier.data.splits import SPLITS
from luthier.diagnosis._finding import SEVERITIES
from luthier.evaluation import formatting, verdict
from luthier.languages import RECORDED, Language, retell, speaking, spoken, tell, texts, told_texts
from luthier.reporting import answers, comparison_table
from luthier.reporting.report import templates

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "luthier"
CHINESE = told_texts("zh")
PATTERNS = texts("zh")[RECORDED]

BRACES = re.compile(r"\{[^{}]*\}")
NAMED = re.compile(r"\{(\w+)(?::(?:(?:re)?told|listed))?\}")

NOT_IN_CALLS = {
    *verdict.OPENINGS.values(),
    *formatting.BASELINES.values(),
    *formatting.MODES.values(),
    *answers.TITLES.values(),
    *(heading.removeprefix(">") for heading in comparison_table.HEADINGS),
    *comparison_table.ANSWERS.values(),
    comparison_table.LEGEND,
    *SEVERITIES,
    *SPLITS,
    *get_args(Fate),
    *get_args(LanguageOfTexts),
    *(registry.load("metric", name).title for name in registry.names("metric")),
    *("base", "tuned", "device", "dtype", "engine", "ranks"),
    *("planned", "running", "finished", "failed", "interrupted"),
    *("text", "number", "true or false", "list", "object", "empty", "mixed"),
}
"""Texts that `tell` gets by a name."""

NOT_TOLD = {
    "Choose from",
    *("Instruction:", "Input:", ": task: {name:"),
    *("rows that share text with", "rows of '", "the columns of a format:"),
}
"""What a finding would write into a configuration, what prompts are made of, counts by name, an error's help."""

VALUES = {
    *("answer", "characters", "words", "duplicate", "near-duplicate", "exact duplicate", "gradient"),
    *("lines", "paragraphs", "digits", "punctuation marks", "question", "stay"),
    "the rows stay; action: drop removes them",
    *("simplified", "traditional", "taiwan", "hong kong"),
    *("e-mail addresses", "IBANs", "Chinese ID numbers", "bank card numbers", "US social security numbers"),
    *("phone numbers", "medical record numbers", "IP addresses", "names"),
}
"""Values inside recorded texts that are translated themselves."""

REASONS = {"UnreadableRow", "DroppedRow", "Rejected"}
"""What takes a row out; its text goes on record."""

RECORDING = [
    *(path for folder in ("cleaning", "formats") for path in SOURCE.glob(f"data/{folder}/*.py")),
    *(SOURCE / f"data/{name}.py" for name in ("intake", "times", "hindsight", "timeline", "tokenising", "rendering")),
    *SOURCE.glob("tasks/*.py"),
    SOURCE / "tracking/following.py",
]
"""Modules whose texts go on record: what becomes of rows and why, and what is noted meanwhile."""


@cache
def trees():
    return [ast.parse(path.read_text(encoding="utf-8")) for path in [*SOURCE.rglob("*.py"), ROOT / "docs/generate.py"]]


def in_python():
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tell":
                yield from (text.value for text in node.args if isinstance(text, ast.Constant))


def in_templates():
    environment = templates()
    for name in environment.list_templates(["jinja"]):
        tree = environment.parse(environment.loader.get_source(environment, name)[0])
        for call in tree.find_all(nodes.Call):
            if getattr(call.node, "name", "") == "tell" and isinstance(call.args[0], nodes.Const):
                yield call.args[0].value


def described():
    """The descriptions of all keys, of configurations and of plugins."""
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Field":
                yield from (
                    word.value.value
                    for word in node.keywords
                    if word.arg == "description" and isinstance(word.value, ast.Constant)
                )


def drafted(part):
    """The descriptions that stand above the keys of a configuration."""
    for name, field in type(part).model_fields.items():
        yield field.description
        value = getattr(part, name)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, BaseModel):
                yield from drafted(each)


def fragments(texts):
    """What stands between the values of texts, where it has a word."""
    found = (piece.strip() for text in texts for part in text.split("; ") for piece in BRACES.split(part))
    return {piece for piece in found if re.search("[A-Za-z]{3}", piece)}


def written(path, errors=True):
    """The texts in a module that people read: no docstrings, no regular expressions."""
    tree, left_out = ast.parse(path.read_text(encoding="utf-8")), set()
    for node in ast.walk(tree):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        pattern = isinstance(node, ast.Call) and getattr(getattr(node.func, "value", None), "id", "") == "re"
        if docstring or pattern or (isinstance(node, ast.Raise) and not errors):
            left_out |= {id(part) for part in ast.walk(node)}
    constants = (part for part in ast.walk(tree) if isinstance(part, ast.Constant) and id(part) not in left_out)
    return [part.value for part in constants if isinstance(part.value, str)]


def recorded(path):
    """The texts in a module that are put together or take a row out: no errors, no descriptions, no expressions."""
    tree, left_out, reasons = ast.parse(path.read_text(encoding="utf-8")), set(), set()
    for node in ast.walk(tree):
        called = getattr(node, "exc" if isinstance(node, ast.Raise) else "func", None)
        called = getattr(called.func if isinstance(called, ast.Call) else called, "id", "")
        owner = getattr(getattr(getattr(node, "func", None), "value", None), "id", "")
        if called in REASONS:
            reasons |= {id(part) for part in ast.walk(node)}
        elif isinstance(node, ast.Raise) or called == "Field" or owner == "re":
            left_out |= {id(part) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            reasons |= {id(part) for part in node.values}
    parts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) in reasons - left_out]
    return [part.value for part in parts if isinstance(part.value, str)]


def test_inside_and_outside():
    assert (spoken(), tell("Scores")) == ("en", "Scores")
    with speaking("zh"):
        assert (spoken(), tell("Scores"), tell("{rows} rows", rows=3)) == ("zh", "得分", "3 行")
        with speaking("en"):
            assert tell("{rows} rows", rows=3) == "3 rows"
        assert tell("Scores") == "得分"
    assert tell("Scores") == "Scores"


def test_what_has_no_translation_is_told_in_english():
    with speaking("zh"):
        assert tell("Nobody {verb} this.", verb="says") == "Nobody says this."
        assert retell("nobody recorded this; as configured") == "nobody recorded this; as configured"


def test_without_values_braces_are_left_alone():
    with speaking("zh"):
        assert tell("such as {labels}") == "such as {labels}"


@pytest.mark.parametrize(
    ("recorded", "told"),
    [
        ("as configured", "按配置"),
        (
            "recall of '{x}' is 0.12; 'up' has 9 training rows, 'x' only 1",
            "“{x}”的召回率为 0.12；“up”有 9 行训练数据，“x”只有 1 行",
        ),
        ("leak: near-duplicate of test row 5", "泄漏：与测试集第 5 行近似重复"),
        ("exact duplicate of row N with another label", "与第 N 行完全重复，但标签不同"),
        ("label 'loss' does not occur in the training rows", "标签“loss”没有在训练数据中出现"),
        ("personal_data: masked 3 names, 12 IBANs", "personal_data：遮盖了 3 个姓名，12 个 IBAN"),
        ("personal data masked: names", "遮盖了个人信息：姓名"),
        ("column 'score' is a list, expected a number", "列“score”是列表，应为数字"),
        ("turn 2 of column 'chat' has no 'role'", "列“chat”的第 2 轮没有“role”"),
        (
            "the tracker mlflow stopped: OSError: no; not at all; training is not affected, and "
            "`luthier track runs/a --to mlflow` sends everything later",
            "跟踪器 mlflow 已停止：OSError: no; not at all；"
            "训练不受影响，之后可用 `luthier track runs/a --to mlflow` 补发全部",
        ),
        ("data.augment: synonym made 9 new rows", "data.augment：synonym 生成了 9 行新数据"),
        ("missing columns for source and target: map two of a, b", "缺少源文本和目标文本两列：请从 a, b 中指定两列"),
        ("a.csv: format text, seen from body in the first 9 rows", "a.csv：格式 text，依据前 9 行的列 body"),
    ],
)
def test_what_is_on_record_is_told_again(recorded, told):
    assert retell(recorded) == recorded
    with speaking("zh"):
        assert retell(recorded) == told


def test_every_language_has_a_file_without_contradictions():
    for language in get_args(Language):
        tables = [table for name, table in texts(language).items() if name != RECORDED]
        assert bool(tables) == (language != "en")
        assert all(table[text] == told_texts(language)[text] for table in tables for text in table)


def test_everything_that_is_told_has_a_chinese_text():
    wanted = {*in_python(), *in_templates(), *NOT_IN_CALLS, *VALUES}
    assert {"Scores", "try next:", "{rows} rows", "how sure"} < wanted, "they are found"
    assert sorted(wanted - set(CHINESE)) == []


@pytest.mark.parametrize("task", registry.names("task"))
def test_every_key_of_a_drafted_configuration_is_described_in_chinese(task):
    config = RunConfig.model_validate({"model": {"base": "b"}, "task": task, "data": {"train": "a.csv"}})
    assert [text for text in drafted(config) if text and text not in CHINESE] == []


def test_no_chinese_text_is_left_over():
    assert sorted(set(CHINESE) - {*in_python(), *in_templates(), *described(), *NOT_IN_CALLS, *VALUES}) == []


def test_translations_have_the_same_values_and_chinese_marks():
    for english, chinese in [*CHINESE.items(), *PATTERNS.items()]:
        assert set(BRACES.findall(NAMED.sub(r"{\1}", chinese))) == set(BRACES.findall(english)), english
        assert not re.search(r"[,.;:!?]$", chinese) or chinese == english


def test_no_pattern_hides_another():
    with speaking("zh"):
        for english, chinese in PATTERNS.items():
            assert retell(NAMED.sub("7", english)) == NAMED.sub("7", chinese)


def test_patterns_are_of_texts_that_the_code_writes():
    everything = "\n".join(text for path in SOURCE.rglob("*.py") for text in written(path))
    assert sorted(piece for piece in fragments(PATTERNS) if piece not in everything) == []


@pytest.mark.parametrize(
    "path", [*SOURCE.glob("diagnosis/[a-z]*.py"), SOURCE / "training/warnings.py"], ids=lambda p: p.stem
)
def test_every_sentence_about_a_run_has_a_pattern(path):
    told = "\n".join([*PATTERNS, *VALUES])
    sentences = {
        piece for piece in fragments(written(path, errors=False)) if len(piece.split()) > 2 or piece[0].isupper()
    }
    assert sorted(piece for piece in sentences - NOT_TOLD if piece not in told) == []


@pytest.mark.parametrize("path", RECORDING, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_text_about_rows_has_a_pattern(path):
    told = "\n".join([*PATTERNS, *VALUES])
    sentences = {piece for piece in fragments(recorded(path)) if len(piece.split()) > 2 or piece[0].isupper()}
    assert sorted(piece for piece in sentences - NOT_TOLD if piece not in told) == []
