"""The shipped headlines are what their data card says."""

import json
import re
from collections import Counter
from itertools import combinations

import pytest

from luthier.data.records import TokenSequence
from luthier.data.similarity import normalised
from luthier.evaluation.baselines import tfidf
from luthier.recipes import FOLDER

HEADLINES = FOLDER / "data" / "finance_headlines"
SPLITS = ("train", "validation", "test")
LABELS = ["negative", "neutral", "positive"]


@pytest.fixture(params=["en", "zh"])
def language(request):
    return request.param


@pytest.fixture
def rows(language):
    return {
        split: [json.loads(line) for line in (HEADLINES / f"{language}-{split}.jsonl").open(encoding="utf-8")]
        for split in SPLITS
    }


def test_the_card_has_the_counts(language, rows):
    card = (HEADLINES / "README.md").read_text(encoding="utf-8")
    for split in SPLITS:
        assert {tuple(row) for row in rows[split]} == {("text", "label")}
        counts = Counter(row["label"] for row in rows[split])
        line = " | ".join(str(number) for number in (len(rows[split]), *(counts[label] for label in LABELS)))
        assert f"| `{language}-{split}.jsonl` | {line} |" in card


def test_labels_are_balanced_and_no_text_occurs_twice(language, rows):
    every = [row for split in SPLITS for row in rows[split]]
    assert Counter(row["label"] for row in every) == dict.fromkeys(LABELS, {"en": 440, "zh": 120}[language])
    assert Counter(row["label"] for row in rows["train"]) == dict.fromkeys(LABELS, {"en": 320, "zh": 88}[language])
    assert len({normalised(row["text"]) for row in every}) == len(every)


def test_no_pair_across_splits_is_alike(language, rows):
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(analyzer="char", ngram_range=(5, 5), binary=True, preprocessor=normalised)
    vectorizer.fit(row["text"] for split in SPLITS for row in rows[split])
    grams = {split: vectorizer.transform([row["text"] for row in rows[split]]) for split in SPLITS}
    most = {"en": 0.44, "zh": 0.07}[language]
    for one, two in combinations(SPLITS, 2):
        shared = (grams[one] @ grams[two].T).toarray()
        union = grams[one].sum(axis=1) + grams[two].sum(axis=1).T - shared
        assert (shared / union).max() <= most


def test_a_linear_model_does_not_solve_them(language, rows):
    asked = [TokenSequence([], [], 0, number, row["text"], row["label"]) for number, row in enumerate(rows["test"])]
    texts, labels = zip(*((row["text"], row["label"]) for row in rows["train"]), strict=True)
    answers = tfidf(texts, labels, asked)
    accuracy = sum(answer.parsed == answer.expected for answer in answers) / len(answers)
    assert accuracy <= 0.85
    card = (HEADLINES / "README.md").read_text(encoding="utf-8")
    told = re.search(r"accuracy of ([\d.]+) on the English and ([\d.]+) on the Chinese", card)
    assert float(told[{"en": 1, "zh": 2}[language]]) == pytest.approx(accuracy, abs=0.01)
