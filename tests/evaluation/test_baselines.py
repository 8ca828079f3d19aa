from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.model_selection import train_test_split

from luthier.data.records import TokenSequence
from luthier.evaluation import baselines
from luthier.evaluation.baselines import (
    always_up,
    commonest_labels,
    last_move,
    majority,
    mean,
    shorter,
    tfidf,
    tfidf_labels,
    tfidf_moves,
    tfidf_ridge,
    word_tags,
)

PHRASEBANK = Path("../shared/data/financial_phrasebank/Sentences_AllAgree.txt")


def rows(*pairs: tuple[str, str]) -> list[TokenSequence]:
    return [TokenSequence([1], [True], 0, 100 + i, text, label) for i, (text, label) in enumerate(pairs)]


def test_majority_answers_the_commonest_training_label():
    found = majority(["x"] * 5, ["b", "a", "b", "a", "c"], rows(("one", "c"), ("two", "a")))
    assert [(row.row_id, row.text, row.expected, row.parsed) for row in found] == [
        (100, "one", "c", "a"),
        (101, "two", "a", "a"),
    ]


def test_tfidf_learns_words_and_pairs_of_words():
    texts = ["profit rose", "profit did not rise", "sales rose", "sales did not rise"] * 5
    found = tfidf(texts, ["up", "down"] * 10, rows(("margins rose", "up"), ("margins did not rise", "down")))
    assert [row.parsed for row in found] == ["up", "down"]


def test_tfidf_reads_chinese_by_characters():
    texts = ["公司利润大幅增长", "公司利润大幅下降", "销售额增长", "销售额下降"] * 5
    found = tfidf(texts, ["up", "down"] * 10, rows(("订单增长明显", "up"), ("订单下降明显", "down")))
    assert [row.parsed for row in found] == ["up", "down"]


@pytest.mark.parametrize(("texts", "labels"), [(["one", "two"], ["a", "a"]), (["!!", "??", "!!"], ["a", "b", "a"])])
def test_where_nothing_can_be_learned_it_answers_the_commonest(texts, labels):
    assert [row.parsed for row in tfidf(texts, labels, rows(("three", "b")))] == ["a"]


def test_no_rows_no_answers():
    assert tfidf(["one two", "three four"], ["a", "b"], []) == []


def test_training_rows_are_drawn_from_everywhere_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(baselines, "MAXIMUM_ROWS", 40)
    texts, labels = ["good"] * 100 + ["bad"] * 100, ["up"] * 100 + ["down"] * 100
    assert [row.parsed for row in tfidf(texts, labels, rows(("bad", "down"), ("good", "up")))] == ["down", "up"]


@pytest.mark.real
@pytest.mark.skipif(not PHRASEBANK.exists(), reason="the financial phrasebank is not at ../shared/data")
def test_on_the_phrasebank_it_is_as_strong_as_a_linear_model_should_be():
    lines = [line.rpartition("@") for line in PHRASEBANK.read_text(encoding="utf-8").splitlines() if line]
    texts, labels = [line[0] for line in lines], [line[2] for line in lines]
    train, test, train_labels, test_labels = train_test_split(
        texts, labels, test_size=0.1, stratify=labels, random_state=42
    )
    found = tfidf(train, train_labels, rows(*zip(test, test_labels, strict=True)))
    assert sum(row.parsed == row.expected for row in found) / len(found) > 0.92


def test_shorter_prefers_the_answer_with_fewer_tokens():
    def pair(better, worse):
        return TokenSequence([0] * (5 + better), [False] * 5 + [True] * better, 5, 0, rejected=[1] * worse)

    found = shorter([], [], [pair(2, 3), pair(4, 3), pair(3, 3)])
    assert [row.parsed for row in found] == ["chosen", "rejected", "chosen"]
    assert {row.expected for row in found} == {"chosen"}


def test_the_commonest_combination_of_labels():
    found = commonest_labels(["x"] * 4, ["a | b", "", "a | b", "a"], rows(("one", "a")))
    assert [(row.parsed, row.expected, row.form) for row in found] == [("a | b", "a", "labels")]


def test_each_label_has_a_linear_model_of_its_own():
    texts = ["profit rose", "profit fell", "merger agreed", "merger agreed as profit rose", "nothing new"] * 4
    labels = ["results", "results", "deal", "deal | results", ""] * 4
    asked = rows(("merger agreed and profit rose", "deal | results"), ("nothing at all", ""))
    found = tfidf_labels(texts, labels, asked)
    assert [row.parsed for row in found] == ["deal | results", ""]
    assert [row.parsed for row in tfidf_labels(["!", "?"], ["a", "a"], rows(("x", "a")))] == ["a"]
    assert [row.parsed for row in tfidf_labels(["x y", "y z"], ["a | b", "a"], rows(("x y", "a")))] == ["a | b"]


def test_the_mean_of_the_numbers():
    found = mean(["x"] * 3, ["0.5", "-1.0", "2.0"], rows(("one", "0.25")))
    assert [(row.parsed, row.expected, row.form) for row in found] == [("0.5", "0.25", "number")]


def test_ridge_regression_learns_words():
    texts, numbers = ["it rose", "it fell", "all rose", "all fell"] * 5, ["1.0", "-1.0"] * 10
    high, low = tfidf_ridge(texts, numbers, rows(("this rose", "1.0"), ("this fell", "-1.0")))
    assert float(high.parsed) > 0.5 > -0.5 > float(low.parsed)
    assert [row.parsed for row in tfidf_ridge(["!"], ["2.0"], rows(("x", "1.0")))] == ["2"]


def test_words_keep_their_commonest_tag():
    texts = ["Nokia rose", "Nokia fell", "Nokia rose high"]
    found = word_tags(texts, ["B-ORG O", "O O", "B-ORG O O"], rows(("high Nokia jumped", "O B-ORG O")))
    assert [(row.parsed, row.form) for row in found] == [("O B-ORG O", "tags")]


def week(move: float, news: str, symbol: str = "A") -> str:
    way = "rose" if move >= 0 else "fell"
    return f"From 2015-01-05 to 2015-01-12, {symbol}'s stock price {way} by {abs(move)}%. News of this week:\n- {news}"


def said(words: str) -> str:
    return f"[Prediction & Analysis]:\nPrediction: {words.capitalize()}"


def test_always_up_takes_the_commonest_rise():
    labels = [said(each) for each in ["up by 0-1%", "up by 2-3%", "up by 2-3%", "down by 4-5%", "down by 4-5%"]]
    found = always_up(["x"] * 5, labels, rows((week(-1, "bad"), said("down by 0-1%"))))
    assert [(row.expected, row.raw) for row in found] == [(said("down by 0-1%"), "up by 2-3%")]
    assert always_up([], [], rows(("x", "y")))[0].raw == "up by 0-1%"


def test_the_last_move_is_the_last_one_that_the_prompt_states():
    texts = [week(3.2, "one") + "\n\n" + week(-1.5, "two"), week(7, "From 2 to 3, the price rose by 9%"), "no move"]
    found = last_move([], [], rows(*((text, said("up by 0-1%")) for text in texts)))
    assert [row.raw for row in found] == ["down by 1-2%", "up by more than 5%", ""]


def test_logistic_regression_learns_from_words_and_from_moves():
    labels = [said("up by 1-2%"), said("down by 3-4%")] * 20
    by_words = [week(n % 3 - 1, ("strong quarter", "weak quarter")[n % 2]) for n in range(40)]
    asked = rows((week(0.5, "a weak quarter"), ""), (week(0.5, "a strong quarter"), ""))
    assert [row.raw for row in tfidf_moves(by_words, labels, asked)] == ["down by 3-4%", "up by 1-2%"]
    by_moves = [week(-2 - n % 5 if n % 2 else 2 + n % 5, "nothing new") for n in range(40)]
    asked = rows((week(-3, "nothing new"), ""), (week(3, "nothing new"), ""))
    assert [row.raw for row in tfidf_moves(by_moves, labels, asked)] == ["down by 3-4%", "up by 1-2%"]


def test_figures_are_no_words_of_the_regression():
    labels = [said("up by 1-2%"), said("down by 3-4%")] * 20
    dated = [week(1, f"news of day {1000 + n % 2}") for n in range(40)]
    found = tfidf_moves(dated, labels, rows((week(1, "news of day 1000"), ""), (week(1, "news of day 1001"), "")))
    assert found[0].raw == found[1].raw, "days and prices would tell the rows apart"


def test_where_only_one_direction_was_seen_it_is_always_up():
    found = tfidf_moves([week(1, "a"), week(2, "b")], [said("up by 1-2%")] * 2, rows((week(-1, "c"), "")))
    assert [row.raw for row in found] == ["up by 1-2%"]
    assert tfidf_moves([week(1, "a")], [said("up by 1-2%")], []) == []
