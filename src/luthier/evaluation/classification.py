"""Class by class: precision, recall, F1, support, and the confusion matrix with a column for invalid answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from luthier.evaluation.metrics._classes import class_codes
from luthier.tasks import Prediction


class ClassScores(TypedDict):
    """Scores of one class."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


def per_class(predictions: Sequence[Prediction], labels: Sequence[str]) -> list[ClassScores]:
    """Scores of each class, by scikit-learn; 0 where a share has nothing to divide by."""
    from sklearn.metrics import precision_recall_fscore_support

    classes, expected, answered = class_codes(predictions, labels)
    columns = precision_recall_fscore_support(expected, answered, labels=range(len(classes)), zero_division=0.0)
    return [
        {"label": label, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for label, p, r, f, s in zip(classes, *columns, strict=True)
    ]


def confusion(predictions: Sequence[Prediction], labels: Sequence[str]) -> list[list[int]]:
    """Rows by expected class, columns by answered class, the last column for invalid answers: [c, c + 1]."""
    classes, expected, answered = class_codes(predictions, labels)
    width = len(classes) + 1
    table: list[list[int]] = (
        np.bincount(expected * width + answered, minlength=width * width).reshape(width, width).tolist()
    )
    return table[:-1]
