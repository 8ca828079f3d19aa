"""The steps that change texts one by one."""

import pytest
from pydantic import ValidationError

from luthier.data.cleaning import DroppedRow
from luthier.data.examples import Conversation, Message, Row, TaggedWords


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("Net sales rose to â‚¬ 13.1 mn", "Net sales rose to € 13.1 mn", "mojibake repaired"),
        ("NestlÃ© and CrÃ©dit Agricole", "Nestlé and Crédit Agricole", "mojibake repaired"),
        ("中文财报业绩增长".encode().decode("gb18030"), "中文财报业绩增长", "mojibake repaired"),
        ("Profit\u200b rose\x07", "Profit rose", "control characters removed"),
        ("Cafe\u0301", "Café", "Unicode brought to NFC"),
        ("Profit\u00ad rose to â‚¬ 1", "Profit rose to € 1", "mojibake repaired; control characters removed"),
        ("本季度净利润同比增长，毛利率略有下降。", "本季度净利润同比增长，毛利率略有下降。", None),
        ("Price–earnings “ratio” é ﬁne\n\tß", "Price–earnings “ratio” é ﬁne\n\tß", None),
    ],
)
def test_unicode(repaired, before, after, change):
    assert repaired("unicode", before) == (after, change)


def test_unicode_parts_can_be_left_out(repaired):
    text = "â‚¬\x07 ﬁ"
    assert repaired("unicode", text, mojibake=False, control=False, form=None) == (text, None)
    assert repaired("unicode", "ﬁ", form="NFKC") == ("fi", "Unicode brought to NFKC")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<p>Profit &amp; loss</p><p>rose<br/>again</p>", "Profit & loss\nrose\nagain"),
        ('<a href="x" title="a>b">S&amp;P</a> 500', "S&P 500"),
        ("<script>alert('<p>')</script><!-- no -->Sales", "Sales"),
        ("<td>1</td>\n  <td>2</td>", "1\n2"),
        ("5 &lt; 6 &#8364; &nbsp;", "5 < 6 €  "),
    ],
)
def test_html_is_taken_out(repaired, before, after):
    text, change = repaired("strip_html", before)
    assert text.replace("\xa0", " ") == after
    assert change == "HTML removed"


@pytest.mark.parametrize(
    "text", ["<5 % and >3", "a<b && b>c", "Buy <NOK1V> at 5", "AT&T, R&D; S&P", "i <3 it", "x < p > y", "  ends  "]
)
def test_what_only_looks_like_html_stays(repaired, text):
    assert repaired("strip_html", text) == (text, None)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("unicode", "NestlÃ©", "Nestlé"),
        ("width", "ＡＢＣ", "ABC"),
        ("strip_html", "<p>Hello</p>", "<p>Hello</p>"),
        ("whitespace", "if x:\n    go()", "if x:\n    go()"),
    ],
)
def test_arguments_of_calls_keep_their_spaces_and_markup(step, name, before, after):
    def chat(text):
        return Conversation((Message("assistant", "Done", ({"name": "run", "arguments": {"what": text}},)),))

    assert step(name).repair(chat(before), Row({}, "f", 1))[0] == chat(after)


def test_a_rule_drops_a_row_for_what_a_call_says(step):
    chat = Conversation((Message("assistant", "", ({"name": "post", "arguments": {"text": "Subscribe now"}},)),))
    with pytest.raises(DroppedRow, match="rules: advertising"):
        step("rules", rules=RULES).repair(chat, Row({}, "f", 1))


def test_nothing_left_is_no_row(step):
    from luthier.data.examples import Labelled

    with pytest.raises(DroppedRow, match="strip_html: nothing is left of a text"):
        step("strip_html").repair(Labelled("<p></p>", "x"), Row({}, "f", 1))


def test_whitespace(repaired):
    text = "  Profit\t rose \r\n\r\n\r\n\r\n  to\u00a0\u3000EUR 5  "
    assert repaired("whitespace", text) == ("Profit rose\n\nto EUR 5", "white space evened out")
    assert repaired("whitespace", text, lines="join")[0] == "Profit rose to EUR 5"
    assert repaired("whitespace", "Profit rose\n\nto EUR 5") == ("Profit rose\n\nto EUR 5", None)


def test_width(repaired):
    text = "ＡＢＣ公司２０２３年净利润１３．１％，增长！ｶﾞ"
    assert repaired("width", text) == ("ABC公司2023年净利润13.1%，增长！ガ", "full and half width made one")
    assert repaired("width", text, punctuation="half")[0] == "ABC公司2023年净利润13.1%,增长!ガ"
    assert repaired("width", "净利润，增长。") == ("净利润，增长。", None)


def test_chinese_script(repaired):
    pytest.importorskip("opencc", reason="the extra `chinese` is not installed")
    assert repaired("chinese_script", "淨利潤同比增長，軟體銷售") == (
        "净利润同比增长，软体销售",
        "brought into simplified Chinese",
    )
    assert repaired("chinese_script", "净利润增长", to="traditional")[0] == "淨利潤增長"
    assert repaired("chinese_script", "软件", to="taiwan")[0] == "軟體"
    assert repaired("chinese_script", "Net sales rose, 净利润增长") == ("Net sales rose, 净利润增长", None)


RULES = [
    {"name": "ticker", "pattern": r"\(([A-Z]+):", "replace": r"(\1 "},
    {"name": "advertising", "pattern": "(?i)subscribe now"},
]


def test_rules(repaired):
    assert repaired("rules", "Nokia (HEL: NOK) rose", rules=RULES) == ("Nokia (HEL  NOK) rose", "rule: ticker")
    assert repaired("rules", "Nokia rose", rules=RULES) == ("Nokia rose", None)
    with pytest.raises(DroppedRow, match="rules: advertising"):
        repaired("rules", "Read more: SUBSCRIBE NOW", rules=RULES)


@pytest.mark.parametrize("rule", [{"name": "broken", "pattern": "("}, {"name": "a; b", "pattern": "x"}])
def test_rules_that_cannot_be(step, rule):
    with pytest.raises(ValidationError):
        step("rules", rules=[rule])


def test_tagged_words_keep_their_number(step):
    example = TaggedWords(("<b>", "Profit", "a\u3000b", "ＡＢ"), ("O", "O", "O", "X"))
    row = Row({}, "f", 1)
    assert step("strip_html").repair(example, row) == (example, None), "a word that would be empty stays"
    assert step("width", punctuation="half").repair(example, row)[0] == TaggedWords(
        ("<b>", "Profit", "a\u3000b", "AB"), ("O", "O", "O", "X")
    ), "a word that would be two stays"
