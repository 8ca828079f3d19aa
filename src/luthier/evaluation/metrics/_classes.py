"""What metrics of classification share: answers as class numbers, and the counts that all of them are made of."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from luthier.evaluation.metrics import Floats, Metric
from luthier.tasks import Form, Prediction, names_in

Codes = npt.NDArray[np.int64]


def class_codes(predictions: Sequence[Prediction], labels: Sequence[str]) -> tuple[list[str], Codes, Codes]:
    """The classes, and the expected and the answered class number of each row, both [n].

    Classes are the allowed labels and after them any others that are expected. An invalid answer has the number that
    follows the last class.
    """
    others = {row.expected for row in predictions if row.expected is not None} - set(labels)
    classes = [*labels, *sorted(others)]
    number = {name: position for position, name in enumerate(classes)}
    invalid = len(classes)
    expected = np.array([number.get(row.expected or "", invalid) for row in predictions], dtype=np.int64)
    answered = np.array([number.get(row.parsed or "", invalid) for row in predictions], dtype=np.int64)
    return classes, expected, answered


def label_sets(predictions: Sequence[Prediction], labels: Sequence[str]) -> tuple[Floats, Floats]:
    """Of answers that name several labels, 1 where a label is expected and where it is answered, each [n, c]."""

    def chosen(answer: str | None) -> list[bool]:
        named = names_in(answer or "", "labels")
        return [label in named for label in labels]

    expected_nc = np.array([chosen(row.expected) for row in predictions], dtype=np.float64)
    answered_nc = np.array([chosen(row.parsed) for row in predictions], dtype=np.float64)
    return expected_nc, answered_nc


class ClassMetric(Metric, ABC):
    """A metric of classification: made of hits, answers and support per class."""

    forms: ClassVar[Sequence[Form]] = ("plain",)
    """Answers it is computed of: one label, or several labels too."""

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether there are allowed labels and every row has a right answer."""
        known = all(row.expected is not None and row.form in self.forms for row in predictions)
        return bool(labels) and bool(predictions) and known

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 3 c]: for each of c classes whether it was hit, then whether it was answered, then whether expected."""
        if predictions[0].form == "labels":
            expected_nc, answered_nc = label_sets(predictions, labels)
        else:
            classes, expected, answered = class_codes(predictions, labels)
            one_hot = np.eye(len(classes) + 1)[:, :-1]
            expected_nc, answered_nc = one_hot[expected], one_hot[answered]
        return np.concatenate([expected_nc * answered_nc, answered_nc, expected_nc], axis=1)


def per_class(totals_k: Floats) -> tuple[Floats, Floats, Floats]:
    """Hits, answers and support per class, each [..., c], from totals [..., 3 c]."""
    hits, answered, support = np.split(totals_k, 3, axis=-1)
    return hits, answered, support


def f1_of(totals_k: Floats) -> tuple[Floats, Floats]:
    """F1 and support per class, each [..., c]; F1 is NaN for a class that is neither expected nor answered."""
    hits, answered, support = per_class(totals_k)
    with np.errstate(invalid="ignore"):
        return 2 * hits / (answered + support), support


def ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, 0 where there is nothing to divide by."""
    share: Floats = np.divide(part, whole, out=np.zeros_like(part, dtype=np.float64), where=whole != 0)
    return share
