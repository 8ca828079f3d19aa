import io
from typing import Any

import pytest

from luthier.data.reading import xml_rows
from luthier.data.reading.json_rows import Item


def read(text: str) -> list[Item]:
    return list(xml_rows.read_xml(io.StringIO(text)))


def values(text: str) -> list[Any]:
    return [item.value for item in read(text)]


def test_like_elements_are_rows() -> None:
    rows = read('<rows><row id="1"><text>Profit rose</text></row>\n<row id="2"><text>Costs fell</text></row></rows>')
    assert [(row.position, row.value) for row in rows] == [
        (1, {"id": "1", "text": "Profit rose"}),
        (2, {"id": "2", "text": "Costs fell"}),
    ]


def test_unlike_elements_are_one_row() -> None:
    text = (
        '<doc id="7"><Focus>Gout</Focus><Pairs><Pair><Q n="1">Why?</Q><A/></Pair><Pair><Q>How?</Q></Pair></Pairs></doc>'
    )
    pairs = {"Pair": [{"Q": {"n": "1", "text": "Why?"}, "A": ""}, {"Q": "How?"}]}
    assert values(text) == [{"id": "7", "Focus": "Gout", "Pairs": pairs}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<rows><row><text>alone</text></row></rows>", {"text": "alone"}),
        ("<row><text>alone</text></row>", {"text": "alone"}),
        ("<r><t>so <b>very</b> well</t><l>up</l></r>", {"t": "so very well", "l": "up"}),
        ('<r xmlns="http://a.b/c"><t>&lt;up&gt; &#233;</t><l>up</l></r>', {"t": "<up> é", "l": "up"}),
        ("<r><t>one</t><l>up</l><t>two</t><t>three</t></r>", {"t": ["one", "two", "three"], "l": "up"}),
    ],
)
def test_elements_become_objects(text: str, expected: Any) -> None:
    assert values(text) == [expected]


def test_rows_before_a_break_are_kept() -> None:
    *rows, bad = read("<rows><row><t>1</t></row><row><t>2</t></row><row><t>3</row></rows>")
    assert [row.value for row in rows] == [{"t": "1"}, {"t": "2"}]
    assert (bad.position, str(bad.problem)[:8]) == (3, "not XML:")


@pytest.mark.parametrize("text", ["", "no XML at all", "<rows>"])
def test_no_xml(text: str) -> None:
    [bad] = read(text)
    assert str(bad.problem).startswith("not XML:")


def test_rows_are_forgotten_as_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_rows, "_CHUNK", 64)
    document = xml_rows._Document(io.StringIO(f"<rows>{'<row><t>x</t></row>' * 500}</rows>"))
    held = [len(document.root) for _ in document.rows() if document.root is not None]
    assert len(held) == 500
    assert max(held) < 10


def test_a_large_document_of_unlike_elements_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_rows, "MAX_ROW_BYTES", 1000)
    [bad] = read(f"<doc><a>{'x' * 2000}</a><b/></doc>")
    assert "not a list of like elements" in str(bad.problem)
    assert len(read(f"<doc><a>{'x' * 2000}</a><a/></doc>")) == 2
