"""Pairs: which columns are source and target, and which way a translation goes."""

from __future__ import annotations

from typing import Any

import pytest

from luthier.data.examples import Pair, Row, UnreadableRow
from luthier.data.formats import detect, load_format
from luthier.errors import DataError

EN, ZH = "Profit rose.", "利润增长。"


def example(values: dict[str, Any], **columns: str) -> Any:
    return load_format("pair", columns).example(Row(values, "file", 1))


@pytest.mark.parametrize(
    "values",
    [
        {"source": EN, "target": ZH},
        {"Src": f" {EN} ", "tgt": ZH, "id": 3},
        {"原文": EN, "译文": ZH},
        {"英文": EN, "中文": ZH},
        {"document": EN, "summary": ZH},
        {"正文": EN, "摘要": ZH},
        {"zh": ZH, "en": EN},
        {"zh_CN": ZH, "en_US": EN, "domain": "news"},
        {"translation": {"en": EN, "zh": ZH}},
        {"translation": {"zh": ZH, "en": EN}},
        {"translation": {"source": EN, "target": ZH}},
    ],
    ids=lambda values: "-".join(map(str, values)),
)
def test_common_names(values: dict[str, Any]) -> None:
    assert example(values) == Pair(EN, ZH)
    assert detect([Row(values, "file", number) for number in range(1, 6)], {})[0] == "pair"


def test_a_mapping_turns_a_translation_round() -> None:
    for values in ({"en": EN, "zh": ZH}, {"translation": {"en": EN, "zh": ZH, "de": "Gewinn"}}):
        assert example(values, source="zh", target="en") == Pair(ZH, EN)
    assert load_format("pair", {}).roles(Row({"translation": {"zh": ZH, "en": EN}}, "file", 1)) == {
        "source": "en",
        "target": "zh",
    }


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"source": EN}, "missing columns for source and target"),
        ({"translation": {"en": EN}}, "missing columns for source and target"),
        ({"translation": {"en": EN, "zh": ZH, "de": "Gewinn"}}, "map two of en, de, zh"),
        ({"translation": EN}, "missing columns for source and target"),
        ({"source": EN, "target": ""}, "column 'target' is empty"),
        ({"translation": {"en": EN, "zh": 7}}, "column 'zh' is the number 7, expected text"),
    ],
)
def test_unreadable_pairs(values: dict[str, Any], why: str) -> None:
    with pytest.raises(UnreadableRow, match=why):
        example(values)


def test_a_text_with_a_label_is_no_pair() -> None:
    rows = [Row({"text": EN, "target": "up"}, "file", number) for number in range(1, 6)]
    assert detect(rows, {})[0] == "labelled"
    with pytest.raises(DataError, match="no column role 'label'"):
        load_format("pair", {"label": "target"})
