"""What a profile looks for in texts: scripts and wrong encodings."""

import pytest

from luthier.data.mojibake import is_mojibake, undone
from luthier.data.scripts import language_of, script_of


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Profit rose by a fifth", "Latin"),
        ("Le bénéfice a augmenté", "Latin"),
        ("公司第三季度净利润增长", "Chinese"),
        ("株価は上昇しました。利益が増えたためです", "Japanese"),
        ("주가가 올랐다", "Korean"),
        ("Прибыль выросла", "Cyrillic"),
        ("净利润 profit", "mixed"),
        ("公司第三季度净利润增长 EBITDA", "mixed"),
        ("苹果公司 Apple 今日公布了第三季度财报数据", "Chinese"),
        ("12 345 %", "none"),
        ("", "none"),
    ],
)
def test_scripts(text: str, script: str) -> None:
    assert script_of(text) == script


DAMAGED = [
    "cafÃ© prices",
    "the bankâ€™s outlook",
    "å…¬å�¸ä¸šç»©",
    "公司业绩增长".encode().decode("gb18030", "replace"),
    "lost \ufffd",
    "锟斤拷",
]
SOUND = [
    "Profit rose", "café", "Ängstliche Bürger", "São Paulo's SÃO", "€ 5 — “quoted”",
    "公司业绩增长百分之二十，净利润创历史新高。", "Ørsted A/S", "µg/m³ ± 2 °C", "Прибыль выросла", "株価は上昇",
]  # fmt: skip


@pytest.mark.parametrize("text", DAMAGED)
def test_damage_is_seen(text: str) -> None:
    assert is_mojibake(text)


@pytest.mark.parametrize("text", SOUND)
def test_sound_text_is_left_alone(text: str) -> None:
    assert not is_mojibake(text)
    assert undone(text) == text


@pytest.mark.parametrize(
    ("said", "wrong"), [("the bank’s café", "cp1252"), ("Société Générale", "latin-1"), ("中文财报业绩增长", "gb18030")]
)
def test_what_lost_nothing_is_undone(said: str, wrong: str) -> None:
    damaged = said.encode().decode(wrong)
    assert is_mojibake(damaged)
    assert undone(damaged) == said


def test_what_lost_something_stays() -> None:
    damaged = "公司业绩增长百分之".encode().decode("gb18030", "replace").replace("\ufffd", "?")
    assert is_mojibake(damaged)
    assert undone(damaged) == damaged


def test_the_language_goes_by_all_texts_together() -> None:
    assert language_of(["净利润", " profit rose"]) == "other"
    assert language_of(["净利润增长了百分之二十", "ETF"]) == "zh"
    assert language_of(["Profit rose by a fifth", "Le bénéfice a augmenté"]) == "other"
    assert language_of([]) == "other"
