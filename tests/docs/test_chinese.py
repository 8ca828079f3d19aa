"""The Chinese pages are built like the English ones: headings, code, tables, lists, links, names in code."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {ROOT / "README.zh.md": ROOT / "README.md"} | {
    page: DOCS / page.relative_to(DOCS / "zh") for page in sorted((DOCS / "zh").rglob("*.md"))
}
"""Chinese page -> English page."""

PART = re.compile(
    r"^```(?P<language>\w+)\n(?P<code>.*?)^```$|^(?P<heading>#+) |(?P<table>(?:^\|[^\n]*\n)+)|^(?P<item>-) ",
    re.MULTILINE | re.DOTALL,
)
FENCE = re.compile(r"^```\w+\n.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`[^`]+`")


def parts(text):
    """What a page is built of, in order."""
    for found in PART.finditer(text):
        if found["code"] is not None:
            yield (found["language"], *(without_comment(line) for line in found["code"].splitlines()))
        elif found["table"]:
            yield ("table", *(cells(line) for line in found["table"].splitlines()))
        else:
            yield found["heading"] or found["item"]


def without_comment(line):
    """A line of code, or of a folder's tree, without what is said about it."""
    return re.split(r"(?<=\S)(?:\s+# |\s{2,})", line)[0]


def cells(line):
    """A line of a table; of its cells those that are code, or empty."""
    return tuple(cell if CODE.fullmatch(cell.strip()) or not cell.strip(" -:") else "" for cell in line.split("|"))


def links(page):
    """Where a page's links lead, each to its English page."""
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            yield link
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        yield PAGES.get(target, target), place(target, anchor) if anchor else None


def place(page, anchor):
    """The number of the heading that an anchor stands for."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    names = [re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings]
    return names.index(anchor)


@pytest.mark.parametrize("chinese", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_built_like_the_english_one(chinese):
    english = PAGES[chinese]
    assert [*parts(chinese.read_text(encoding="utf-8"))] == [*parts(english.read_text(encoding="utf-8"))]
    assert Counter(links(chinese)) == Counter(links(english))
    named = {page: set(CODE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))) for page in (chinese, english)}
    assert named[english] - named[chinese] == set()


@pytest.mark.parametrize("chinese", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_written_in_chinese(chinese):
    text = CODE.sub("", LINK.sub("", FENCE.sub("", chinese.read_text(encoding="utf-8"))))
    assert len(re.findall("[\u4e00-\u9fff]", text)) > 2 * len(re.findall("[A-Za-z]{2,}", text))


def test_what_a_newcomer_reads_is_there():
    wanted = [
        "index.md",
        "quickstart.md",
        "recipes.md",
        *(f"recipes/{page.name}" for page in DOCS.glob("recipes/*.md")),
    ]
    assert len(wanted) > 20
    assert [name for name in wanted if not (DOCS / "zh" / name).exists()] == []


def test_a_difference_is_seen():
    page = "# A\n\n| a | `b` |\n|---|---|\n| c | d |\n\n```sh\nluthier new x  # look\n```\n"
    same = "# 甲\n\n| 乙 | `b` |\n|---|---|\n| 丙 | 丁 |\n\n```sh\nluthier new x  # 看\n```\n"
    assert [*parts(page)] == [*parts(same)]
    for change in (("# 甲", "## 甲"), ("new x", "new y"), ("| `b` |", "| b |"), ("| 丙 | 丁 |\n", "")):
        assert [*parts(page)] != [*parts(same.replace(*change))]
