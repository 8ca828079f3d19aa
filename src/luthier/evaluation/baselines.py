"""What costs next to nothing and has to be beaten: the commonest label, and a linear model on word counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from luthier.data.records import TokenSequence
from luthier.evaluation.text import is_cjk
from luthier.tasks import Prediction

Baseline = Callable[[Sequence[str], Sequence[str], Sequence[TokenSequence]], list[Prediction]]
"""(texts of the training rows, their labels, the rows to answer) -> answers."""

MAXIMUM_ROWS = 20_000
"""Training rows of the linear model; more of them hardly change it, but its time and memory grow."""


def _answers(rows: Sequence[TokenSequence], labels: Sequence[str]) -> list[Prediction]:
    return [
        Prediction(row_id=row.row_id, text=row.text, expected=row.label, raw=label, parsed=label)
        for row, label in zip(rows, labels, strict=True)
    ]


def majority(
    train_texts: Sequence[str], train_labels: Sequence[str], rows: Sequence[TokenSequence]
) -> list[Prediction]:
    """Answers every row with the commonest training label; of equally common ones, the first in the alphabet."""
    counts = Counter(train_labels)
    commonest = min(counts, key=lambda label: (-counts[label], label))
    return _answers(rows, [commonest] * len(rows))


def tfidf(
    train_texts: Sequence[str], train_labels: Sequence[str], rows: Sequence[TokenSequence], seed: int = 0
) -> list[Prediction]:
    """TF-IDF with logistic regression, by scikit-learn, on at most `MAXIMUM_ROWS` training rows.

    Features are words and pairs of words, or 1 to 3 characters where the texts are Chinese or Japanese. With one
    label, or texts without a single word, there is nothing to fit: the answers are then those of `majority`.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    if len(train_texts) > MAXIMUM_ROWS:
        chosen = np.random.default_rng(seed).permutation(len(train_texts))[:MAXIMUM_ROWS]
        train_texts, train_labels = [train_texts[i] for i in chosen], [train_labels[i] for i in chosen]
    if len(set(train_labels)) < 2 or not any(re.search(r"\w", text) for text in train_texts):
        return majority(train_texts, train_labels, rows)
    if is_cjk(train_texts[:1000]):
        vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    else:
        vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), sublinear_tf=True)
    model = make_pipeline(vectorizer, LogisticRegression(C=10.0, max_iter=1000))
    model.fit(train_texts, train_labels)
    return _answers(rows, [str(label) for label in model.predict([row.text for row in rows])] if rows else [])


BASELINES: dict[str, Baseline] = {"majority": majority, "tfidf": tfidf}
"""Simple ways of answering by the name that a task calls them by."""
