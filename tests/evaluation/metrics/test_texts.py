"""Metrics of written answers against their reference libraries, on fixed texts in English and Chinese."""

import json
import random
import string
from collections import Counter
from pathlib import Path

import pytest
from sacrebleu.metrics import BLEU, CHRF

from luthier import registry
from luthier.evaluation.metrics._rouge import longest_common
from luthier.evaluation.statistics import bootstrap_totals
from luthier.evaluation.text import answer_words, words
from luthier.tasks import Prediction

TEXTS = json.loads((Path(__file__).parent / "texts.json").read_text(encoding="utf-8"))
BY_ROUGE_SCORE = {
    "english": {"rouge_1": 0.5577571091805847, "rouge_2": 0.38483957219251336, "rouge_l": 0.4744237758472514},
    "chinese": {"rouge_1": 0.5799441786283891, "rouge_2": 0.37357190860215056, "rouge_l": 0.5177432216905901},
}
"""Mean F-measures that rouge-score 0.1.2 gives; of Chinese, with a tokenizer that parts it into characters."""


def predictions(pairs):
    return [Prediction(n, "question", right, said, said) for n, (right, said) in enumerate(pairs)]


def value(name, pairs):
    return registry.load("metric", name)().value(predictions(pairs), [])


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("name", ["rouge_1", "rouge_2", "rouge_l"])
def test_rouge_is_what_the_reference_gave(language, name):
    assert value(name, TEXTS[language]) == pytest.approx(BY_ROUGE_SCORE[language][name], abs=1e-12)


@pytest.mark.parametrize("language", TEXTS)
def test_rouge_is_what_the_reference_gives(language):
    scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="rouge-score is not installed (extra dev)")

    class Characters:
        def tokenize(self, text):
            return words(text)

    reference = scorer.RougeScorer(
        ["rouge1", "rouge2", "rougeL"], tokenizer=Characters() if language == "chinese" else None
    )
    chance = random.Random(0)
    vocabulary = sorted({word for pair in TEXTS[language] for text in pair for word in text.split()})
    drawn = [[" ".join(chance.choices(vocabulary, k=chance.randint(1, 30))) for _ in range(2)] for _ in range(30)]
    for right, said in TEXTS[language] + drawn:
        found = reference.score(right, said)
        for name, theirs in (("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")):
            assert value(name, [(right, said)]) == pytest.approx(found[theirs].fmeasure, abs=1e-12), (right, said)


@pytest.mark.parametrize("seed", range(5))
def test_the_longest_common_subsequence_is_that_of_the_table(seed):
    chance = random.Random(seed)
    one, other = (chance.choices("abcde", k=chance.randint(0, 90)) for _ in range(2))
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, left in enumerate(one):
        for j, right in enumerate(other):
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
    assert longest_common(one, other) == table[-1][-1]


@pytest.mark.parametrize("language", TEXTS)
def test_bleu_and_chrf_are_sacrebleus_and_say_how(language):
    right, said = zip(*TEXTS[language], strict=True)
    tokenizer = "zh" if language == "chinese" else "13a"
    for name, reference in (("bleu", BLEU(tokenize=tokenizer)), ("chrf", CHRF())):
        metric = registry.load("metric", name)()
        rows = predictions(TEXTS[language])
        assert metric.value(rows, []) == reference.corpus_score(list(said), [list(right)]).score
        assert metric.signature(rows) == str(reference.get_signature())
    assert f"tok:{tokenizer}" in registry.load("metric", "bleu")().signature(predictions(TEXTS[language]))


def test_token_f1_is_that_of_squad():
    """Counted by hand with SQuAD's rules: lower case, no punctuation, no articles, parted at spaces."""
    assert answer_words("The group's profit, a 13.1 % rise!") == ["groups", "profit", "131", "rise"]
    assert value("token_f1", [("The cat sat", "a cat sat down")]) == pytest.approx(2 * 2 / (2 + 3))
    assert value("token_f1", [("yes", "no")]) == 0
    assert value("token_f1", [("The.", "a")]) == 1.0, "neither has a word"
    assert value("token_f1", [("the", "word")]) == 0.0
    assert value("token_f1", [("six six", "six")]) == pytest.approx(2 / 3)


def test_token_f1_of_chinese_counts_characters():
    assert answer_words("海底捞（Haidilao）上市。") == ["海", "底", "捞", "haidilao", "上", "市"]
    assert value("token_f1", [("净利润增长", "利润增长了。")]) == pytest.approx(2 * 4 / (5 + 5))


def squad(right, said):
    """Token F1 as the evaluation script of SQuAD describes it, written down once more."""

    def tokens(text):
        bare = "".join(mark for mark in text.lower() if mark not in string.punctuation)
        return Counter(word for word in bare.split() if word not in ("a", "an", "the"))

    shared = sum((tokens(right) & tokens(said)).values())
    if not shared:
        return float(tokens(right) == tokens(said))
    precision, recall = shared / tokens(said).total(), shared / tokens(right).total()
    return 2 * precision * recall / (precision + recall)


def test_token_f1_of_the_fixed_texts():
    theirs = [squad(right, said) for right, said in TEXTS["english"]]
    assert value("token_f1", TEXTS["english"]) == pytest.approx(sum(theirs) / len(theirs), abs=1e-12)


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_distinct_is_different_n_grams_over_n_grams(language, n):
    grams = [
        tuple(said[place : place + n])
        for said in (words(said) for _, said in TEXTS[language])
        for place in range(len(said) - n + 1)
    ]
    assert value(f"distinct_{n}", TEXTS[language]) == pytest.approx(len(set(grams)) / len(grams))


def test_a_model_that_always_says_the_same_is_not_distinct_and_its_interval_holds_the_value():
    metric = registry.load("metric", "distinct_2")()
    same = predictions([("", "I do not know that")] * 50)
    assert metric.value(same, []) == pytest.approx(1 / 50)
    varied = predictions([("", f"answer {n} is number {n * 7}" + " of many" * (n % 3)) for n in range(60)])
    counts = metric.counts(varied, [])
    resampled = metric.from_totals(bootstrap_totals({"": counts}, seed=0)[""])
    assert resampled.min() < metric.value(varied, []) < resampled.max()


def test_repetition_is_within_an_answer():
    assert value("repetition", [("", "one two three four five")]) == 0
    assert value("repetition", [("", "too short")]) == 0
    looping = " ".join(["we will see"] * 5)
    grams = Counter(tuple(looping.split()[place : place + 4]) for place in range(12))
    assert value("repetition", [("", looping)]) == pytest.approx(1 - len(grams) / 12)
    assert value("repetition", [("", "还要开会还要开会还要开会")]) == pytest.approx(1 - 4 / 9)
    assert value("repetition", [("", "a b c d"), ("", looping)]) == pytest.approx((1 - len(grams) / 12) / 2)


def test_lengths_are_in_words_or_characters():
    pairs = [("Profit rose.", "Profit rose a lot."), ("利润增长", "利润")]
    assert value("answer_length", pairs) == 3.0
    assert value("length_ratio", pairs) == 1.0
    assert registry.load("metric", "answer_length").higher_is_better is None


def test_answers_alone_need_no_right_ones():
    rows = [Prediction(0, "", None, "some answer here now", "some answer here now")]
    for name in ("distinct_1", "repetition", "answer_length"):
        assert registry.load("metric", name)().applies(rows, [])
        assert not registry.load("metric", name)().applies(rows, ["up", "down"])
    assert not registry.load("metric", "rouge_1")().applies(rows, [])


def test_words_of_every_script():
    assert words("Net-sales: 13.1 mn_EUR") == ["net", "sales", "13", "1", "mn", "eur"]
    assert words("Прибыль выросла, １２％") == ["прибыль", "выросла", "12"]
    assert words("苹果公司Apple股价") == ["苹", "果", "公", "司", "apple", "股", "价"]
