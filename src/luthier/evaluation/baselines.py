"""What costs next to nothing and has to be beaten: the commonest answer, a linear model on word counts, their like."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from luthier.data.market.forecasts import DIRECTIONS, Forecast, read_forecast, stated_moves
from luthier.data.records import TokenSequence
from luthier.data.words import is_cjk
from luthier.tasks import BETWEEN_LABELS, CHOSEN, REJECTED, Form, Prediction, names_in

Baseline = Callable[[Sequence[str], Sequence[str], Sequence[TokenSequence]], list[Prediction]]
"""(texts of the training rows, their labels, the rows to answer) -> answers."""

MAXIMUM_ROWS = 20_000
"""Training rows of the linear model; more of them hardly change it, but its time and memory grow."""


def _answers(rows: Sequence[TokenSequence], labels: Sequence[str], form: Form = "plain") -> list[Prediction]:
    return [
        Prediction(row_id=row.row_id, text=row.text, expected=row.label, raw=label, parsed=label, form=form)
        for row, label in zip(rows, labels, strict=True)
    ]


def majority(
    train_texts: Sequence[str], train_labels: Sequence[str], rows: Sequence[TokenSequence]
) -> list[Prediction]:
    """Answers every row with the commonest training label; of equally common ones, the first in the alphabet."""
    return _answers(rows, [_commonest(train_labels)] * len(rows))


def _commonest(labels: Iterable[str]) -> str:
    counts = Counter(labels)
    return min(counts, key=lambda label: (-counts[label], label))


def tfidf(
    train_texts: Sequence[str], train_labels: Sequence[str], rows: Sequence[TokenSequence], seed: int = 0
) -> list[Prediction]:
    """TF-IDF with logistic regression on at most `MAXIMUM_ROWS` training rows; see `linear_model`.

    With one label, or texts without a single word, there is nothing to fit: the answers are then those of `majority`.
    """
    train_texts, train_labels = _at_most(MAXIMUM_ROWS, train_texts, train_labels, seed)
    if len(set(train_labels)) < 2 or not _has_words(train_texts):
        return majority(train_texts, train_labels, rows)
    model = linear_model(train_texts).fit(train_texts, train_labels)
    return _answers(rows, [str(label) for label in model.predict([row.text for row in rows])] if rows else [])


def linear_model(texts: Sequence[str]) -> Any:
    """TF-IDF with logistic regression, by scikit-learn, not fitted yet.

    Features are words and pairs of words, or 1 to 3 characters where the texts are Chinese or Japanese.
    """
    from sklearn.pipeline import make_pipeline

    return make_pipeline(_features(texts), _classifier())


def _features(texts: Sequence[str]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    if is_cjk(texts[:1000]):
        return TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    return TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), sublinear_tf=True)


def _classifier() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10.0, max_iter=1000)


def _has_words(texts: Sequence[str]) -> bool:
    return any(re.search(r"\w", text) for text in texts)


def _at_most(
    count: int, texts: Sequence[str], labels: Sequence[str], seed: int = 0
) -> tuple[Sequence[str], Sequence[str]]:
    """That many rows, drawn from everywhere."""
    if len(texts) <= count:
        return texts, labels
    chosen = np.random.default_rng(seed).permutation(len(texts))[:count]
    return [texts[i] for i in chosen], [labels[i] for i in chosen]


def commonest_labels(
    train_texts: Sequence[str], train_labels: Sequence[str], rows: Sequence[TokenSequence]
) -> list[Prediction]:
    """Of answers that name several labels, the commonest combination."""
    return _answers(rows, [_commonest(train_labels)] * len(rows), "labels")


def tfidf_labels(
    train_texts: Sequence[str], train_labels: Sequence[str], rows: Sequence[TokenSequence]
) -> list[Prediction]:
    """TF-IDF with a logistic regression for each label; the commonest combination where no text has a word."""
    train_texts, train_labels = _at_most(MAXIMUM_ROWS, train_texts, train_labels)
    if not (rows and _has_words(train_texts)):
        return commonest_labels(train_texts, train_labels, rows)
    features = _features(train_texts)
    train, asked = features.fit_transform(train_texts), features.transform([row.text for row in rows])
    named = [set(names_in(label, "labels")) for label in train_labels]
    chosen: list[list[str]] = [[] for _ in rows]
    for label in sorted(set().union(*named)):
        true = np.array([label in names for names in named])
        found = np.ones(len(rows), bool) if true.all() else _classifier().fit(train, true).predict(asked)
        for row in np.flatnonzero(found):
            chosen[row].append(label)
    return _answers(rows, [BETWEEN_LABELS.join(labels) for labels in chosen], "labels")


def mean(train_texts: Sequence[str], train_labels: Sequence[str], rows: Sequence[TokenSequence]) -> list[Prediction]:
    """Answers every row with the mean of the training rows' numbers."""
    return _numbers(rows, [float(np.mean([float(label) for label in train_labels]))] * len(rows))


def tfidf_ridge(
    train_texts: Sequence[str], train_labels: Sequence[str], rows: Sequence[TokenSequence]
) -> list[Prediction]:
    """TF-IDF with ridge regression, by scikit-learn; the mean where no text has a word."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    train_texts, train_labels = _at_most(MAXIMUM_ROWS, train_texts, train_labels)
    if not (rows and _has_words(train_texts)):
        return mean(train_texts, train_labels, rows)
    model = make_pipeline(_features(train_texts), Ridge())
    model.fit(train_texts, [float(label) for label in train_labels])
    return _numbers(rows, model.predict([row.text for row in rows]).tolist())


def _numbers(rows: Sequence[TokenSequence], numbers: Sequence[float]) -> list[Prediction]:
    return _answers(rows, [f"{number:.6g}" for number in numbers], "number")


def word_tags(
    train_texts: Sequence[str], train_labels: Sequence[str], rows: Sequence[TokenSequence]
) -> list[Prediction]:
    """Each word's commonest tag in the training rows; the commonest tag of all for words they do not have."""
    seen: dict[str, Counter[str]] = {}
    for text, label in zip(train_texts, train_labels, strict=True):
        for word, tag in zip(text.split(" "), names_in(label, "tags"), strict=True):
            seen.setdefault(word, Counter())[tag] += 1
    known = {word: _commonest(tags.elements()) for word, tags in seen.items()}
    usual = _commonest(tag for tags in seen.values() for tag in tags.elements())
    answers = [" ".join(known.get(word, usual) for word in row.text.split(" ")) for row in rows]
    return _answers(rows, answers, "tags")


def shorter(train_texts: Sequence[str], train_labels: Sequence[str], rows: Sequence[TokenSequence]) -> list[Prediction]:
    """Of two answers prefers the one with fewer tokens; of equally long ones the better, in its own favour."""
    return [
        Prediction(row.row_id, row.text, CHOSEN, preferred, preferred)
        for row in rows
        for preferred in [CHOSEN if len(row.ids) - row.prompt_length <= len(row.rejected) else REJECTED]
    ]


def always_up(
    train_texts: Sequence[str], train_labels: Sequence[str], rows: Sequence[TokenSequence]
) -> list[Prediction]:
    """Forecasts a rise for every row, in the range that is commonest among the training rows' rises."""
    return _forecasts(rows, train_labels, ["up"] * len(rows))


def last_move(
    train_texts: Sequence[str], train_labels: Sequence[str], rows: Sequence[TokenSequence]
) -> list[Prediction]:
    """Forecasts the last move that a prompt states once more; a prompt that states none gets no answer."""
    stated = [stated_moves(row.text)[-1:] for row in rows]
    return _answers(rows, [Forecast.of(moves[0] / 100).words if moves else "" for moves in stated])


def tfidf_moves(
    train_texts: Sequence[str], train_labels: Sequence[str], rows: Sequence[TokenSequence]
) -> list[Prediction]:
    """Logistic regression of the direction on TF-IDF and the moves that a prompt states; always up where it cannot be.

    The range is that which is commonest among the training rows of the direction.
    """
    train_texts, train_labels = _at_most(MAXIMUM_ROWS, train_texts, train_labels)
    ways = [found.direction if found else "" for found in map(read_forecast, train_labels)]
    texts = [row.text for row in rows]
    if not (rows and len(set(ways)) > 1 and _has_words(train_texts)):
        return always_up(train_texts, train_labels, rows)
    model = _of_words_and_moves(train_texts).fit(train_texts, ways)
    return _forecasts(rows, train_labels, [str(way) for way in model.predict(texts)])


def _of_words_and_moves(texts: Sequence[str]) -> Any:
    """Not fitted yet. Words are taken without figures, which are dates and prices; the last moves stand beside them."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    words = make_pipeline(FunctionTransformer(_without_figures), _features(texts))
    moves = make_pipeline(FunctionTransformer(_last_moves), StandardScaler())
    return make_pipeline(make_union(words, moves), LogisticRegression(max_iter=1000))


def _without_figures(texts: Sequence[str]) -> list[str]:
    return [re.sub(r"\d+", " ", text) for text in texts]


def _last_moves(texts: Sequence[str]) -> Any:
    """[n, 3]: the last three moves that each text states, in per cent; 0 where there are fewer."""
    return np.array([([0.0, 0.0, 0.0, *stated_moves(text)])[-3:] for text in texts])


def _forecasts(rows: Sequence[TokenSequence], train_labels: Sequence[str], ways: Sequence[str]) -> list[Prediction]:
    """A direction for each row, in the range that is commonest among the training rows of this direction."""
    seen = [found for found in map(read_forecast, train_labels) if found]
    usual: dict[str, str] = {
        way: _commonest([found.words for found in seen if found.direction == way] or [f"{way} by 0-1%"])
        for way in DIRECTIONS
    }
    return _answers(rows, [usual.get(way, "") for way in ways])


BASELINES: dict[str, Baseline] = {
    "majority": majority,
    "tfidf": tfidf,
    "commonest_labels": commonest_labels,
    "tfidf_labels": tfidf_labels,
    "mean": mean,
    "tfidf_ridge": tfidf_ridge,
    "word_tags": word_tags,
    "shorter": shorter,
    "always_up": always_up,
    "last_move": last_move,
    "tfidf_moves": tfidf_moves,
}
"""Simple ways of answering by the name that a task calls them by."""
