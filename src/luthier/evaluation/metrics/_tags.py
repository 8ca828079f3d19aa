"""What metrics of tagged words share: entities, and how many of them are right."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence

import numpy as np

from luthier.evaluation.metrics import Floats, Metric
from luthier.tasks import Prediction, names_in

OUTSIDE = "O"
"""The tag of words that belong to no entity."""

MARKS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}
"""Begin, inside, end and single, by the letters of all usual schemes (IOB1, IOB2, IOBES, BILOU, BMEWO)."""

Entity = tuple[str, int, int]
"""(type, first word, word behind the last)."""


def entities(tags: Sequence[str]) -> set[Entity]:
    """Entities in the tags of a row, whatever their scheme, read as leniently as `seqeval` and conlleval do.

    An entity goes on as long as tags of its type say inside or end; such a tag with nothing to go on with begins one.
    Tags without a mark, such as ORG beside O, go on while they stay the same.
    """
    found: set[Entity] = set()
    before, kind, first = "O", "", 0
    for place, tag in enumerate([*tags, OUTSIDE]):
        mark, new = _parts(tag)
        if mark in ("I", "E") and before in ("B", "I") and new == kind:
            before = mark
            continue
        if before != "O":
            found.add((kind, first, place))
        before, kind, first = mark, new, place
    return found


def _parts(tag: str) -> tuple[str, str]:
    """(mark, type) of a tag."""
    mark, _, kind = tag.partition("-")
    if tag == OUTSIDE:
        return "O", ""
    return (MARKS[mark], kind) if mark in MARKS else ("I", tag)


class EntityMetric(Metric, ABC):
    """A metric of entities: right are those with the same words and the same type."""

    def applies(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> bool:
        """Whether words are tagged, and some of them belong to no entity, unlike parts of speech."""
        return OUTSIDE in labels and tagged(predictions)

    def counts(self, predictions: Sequence[Prediction], labels: Sequence[str]) -> Floats:
        """[n, 3]: entities that are right, those answered, those expected."""
        pairs = [(_entities(row.expected), _entities(row.parsed)) for row in predictions]
        rows = [[len(expected & answered), len(answered), len(expected)] for expected, answered in pairs]
        return np.array(rows, dtype=np.float64)


def _entities(answer: str | None) -> set[Entity]:
    return entities(names_in(answer or OUTSIDE, "tags"))


def tagged(predictions: Sequence[Prediction]) -> bool:
    """Whether these are tags of words, and the right ones are known."""
    return bool(predictions) and all(row.form == "tags" and row.expected is not None for row in predictions)
