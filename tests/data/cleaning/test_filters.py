"""The steps that drop rows one by one."""

import pytest

from luthier.data.cleaning import DroppedRow
from luthier.data.examples import Conversation, Document, Labelled, Message, Pair, Row

ROW = Row({}, "rows.jsonl", 1)
ARTICLE = (
    "The group's net sales grew by seven per cent in the third quarter, driven by demand for lifts in Asia. Costs of "
    "raw materials weighed on the margin, yet management expects them to ease next year. The board proposes a dividend "
    "of forty cents, payable in two parts. Analysts had forecast slightly less revenue but a better operating result."
)


def reason(made, example):
    try:
        made.repair(example, ROW)
    except DroppedRow as error:
        return str(error)
    return None


def chat(question, answer):
    return Conversation((Message("user", question), Message("assistant", answer)))


def test_length(step):
    made = step("length", text={"min_words": 3, "max_characters": 40}, answer={"min_characters": 2, "max_words": 4})
    assert reason(made, Labelled("Profit rose", "up")) == "length: the text has 2 words, fewer than 3"
    assert reason(made, Labelled("净利润增长", "up")) is None, "a Chinese character is a word"
    assert reason(made, Labelled("x " * 30, "up")) == "length: the text has 60 characters, more than 40"
    assert reason(made, Labelled("Profit rose again", "u")) is None, "a label is no answer"
    assert reason(made, chat("What is a bond?", "A")) == "length: the answer has 1 characters, fewer than 2"
    assert reason(made, Pair("What is a bond", "It is a kind of loan")) == "length: the answer has 6 words, more than 4"


def test_ratio_of_a_pair(step):
    made = step("ratio", pair=3)
    assert reason(made, Pair("Profit rose a lot", "利润增长了很多")) is None
    assert reason(made, Pair("Profit rose a lot", "利")) == "ratio: 4 words to 1, more than 3 to one"
    assert reason(made, Labelled("Profit", "up")) is None


def test_shares(step):
    made = step("ratio", min_letters=0.5, max_digits=0.3, max_punctuation=0.4)
    assert reason(made, Labelled("Profit rose to 13", "up")) is None
    assert reason(made, Labelled("13.1 8.7 mn", "up")) == "ratio: letters are 22 % of the text, less than 50 %"
    assert reason(made, Labelled("abcdef 12345 gh", "up")) == "ratio: digits are 38 % of the text, more than 30 %"
    assert reason(step("ratio", max_punctuation=0.4), Labelled("ab !?!?", "up")) == (
        "ratio: punctuation marks are 67 % of the text, more than 40 %"
    )


def test_repeated_lines(step):
    made = step("repeated_lines")
    assert reason(made, Document("\n".join(["Home", "News", "Home", "News", "Home", ARTICLE]))) == (
        "repeated_lines: 3 of 6 lines repeat earlier ones"
    )
    assert reason(made, Document(f"One\nTwo\nThree\nFour\n{ARTICLE}\nFive\nSix\nSeven\n{ARTICLE}")) == (
        "repeated_lines: 48 % of the text are lines that repeat earlier ones"
    )
    assert reason(made, Document(ARTICLE.replace(". ", ".\n\n"))) is None
    assert reason(made, Labelled("one line " * 50, "x")) is None


def test_repeated_ngrams(step):
    made = step("repeated_ngrams")
    assert reason(made, Document(ARTICLE)) is None
    assert reason(made, Document("buy now " * 30)) == "repeated_ngrams: 100 % of the text repeats 2 words in a row"
    found = reason(made, Document(f"{ARTICLE} {' '.join(ARTICLE.split()[:20])}"))
    assert str(found).endswith("repeats 5 words in a row")
    assert reason(made, Labelled("buy now " * 20, "x")) is None, "too short to judge"
    assert reason(step("repeated_ngrams", scale=50), Document("buy now " * 30)) is None


def test_language(step):
    pytest.importorskip("py3langid", reason="the extra `language` is not installed")
    made = step("language", keep=["en", "zh"])
    for text in (
        "Operating profit rose to EUR 13.1 mn",
        "本季度净利润同比增长，毛利率略有下降",
        "EUR 13.1",
        "OK",
        "13",
    ):
        assert reason(made, Labelled(text, "x")) is None, text
    german = "Der Konzern steigerte seinen Umsatz im dritten Quartal um sieben Prozent gegenüber dem Vorjahr"
    assert reason(made, Labelled(german, "x")) == "language: de"
    assert made.counts() == {"rows in de": 1}


def test_only_known_languages_can_be_kept(step):
    from luthier.errors import ConfigError

    pytest.importorskip("py3langid", reason="the extra `language` is not installed")
    with pytest.raises(ConfigError, match="no language 'english'"):
        step("language", keep=["english"]).repair(Labelled("Profit rose", "x"), ROW)
