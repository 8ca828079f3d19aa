"""What a profile looks for in texts: scripts, wrong encodings, personal data, uneven labels."""

import pytest
from luthier.data.labels import uneven

from luthier.data.mojibake import is_mojibake
from luthier.data.personal import find_personal_data, masked
from luthier.data.scripts import script_of


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


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to j.doe+news@mail.example.co.uk.", ["e-mail"]),
        ("card 4111 1111 1111 1111 or 5500-0000-0000-0004", ["bank card", "bank card"]),
        ("card 4111 1111 1111 1112", []),
        ("revenue of 4111111111111111.5 and 1 234 567 890 123", []),
        ("@AAPL rose, a@b, $1234", []),
        ("Profit rose to EUR 13.1 mn in 2015-10-01", []),
    ],
)
def test_personal_data(text: str, kinds: list[str]) -> None:
    assert [kind for kind, _, _ in find_personal_data(text)] == kinds


def test_masking_keeps_everything_else() -> None:
    assert masked("from a@b.org, card 4111111111111111!") == "from [e-mail], card [bank card]!"


def test_uneven_labels_are_named() -> None:
    assert uneven({"neutral": 90, "up": 6, "down": 4}) == ["uneven labels: 'neutral' has 90 rows (90%), 'down' only 4"]
    assert uneven({"up": 39, "down": 10}) == []
    assert uneven({"up": 90}) == uneven({}) == []
