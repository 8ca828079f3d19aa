"""Entities in tags, by hand, and the metrics made of them."""

import pytest

from luthier import registry
from luthier.evaluation.metrics import applicable
from luthier.evaluation.metrics._tags import entities
from luthier.tasks import Prediction

TAGS = ["B-LOC", "B-ORG", "I-LOC", "I-ORG", "O"]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O O", set()),
        ("B-ORG I-ORG O B-LOC", {("ORG", 0, 2), ("LOC", 3, 4)}),
        ("B-ORG B-ORG", {("ORG", 0, 1), ("ORG", 1, 2)}),
        ("I-ORG I-ORG O I-LOC", {("ORG", 0, 2), ("LOC", 3, 4)}),  # IOB1: I begins one
        ("I-ORG B-ORG I-ORG", {("ORG", 0, 1), ("ORG", 1, 3)}),  # IOB1: B parts neighbours
        ("B-ORG I-LOC", {("ORG", 0, 1), ("LOC", 1, 2)}),  # another type begins another one
        ("B-ORG O I-ORG", {("ORG", 0, 1), ("ORG", 2, 3)}),
        ("B-ORG I-ORG E-ORG S-LOC", {("ORG", 0, 3), ("LOC", 3, 4)}),  # IOBES
        ("B-ORG E-ORG I-ORG", {("ORG", 0, 2), ("ORG", 2, 3)}),
        ("E-ORG E-ORG", {("ORG", 0, 1), ("ORG", 1, 2)}),
        ("S-ORG I-ORG", {("ORG", 0, 1), ("ORG", 1, 2)}),
        ("B-ORG L-ORG U-LOC", {("ORG", 0, 2), ("LOC", 2, 3)}),  # BILOU
        ("B-ORG M-ORG E-ORG W-LOC", {("ORG", 0, 3), ("LOC", 3, 4)}),  # BMEWO
        ("B I O B", {("", 0, 2), ("", 3, 4)}),  # no types
        ("ORG ORG O LOC", {("ORG", 0, 2), ("LOC", 3, 4)}),  # no marks
        ("B-PER-NAME I-PER-NAME", {("PER-NAME", 0, 2)}),
    ],
)
def test_entities_of_all_schemes(tags, expected):
    assert entities(tags.split(" ")) == expected


def answer(row_id, expected, found):
    return Prediction(row_id, " ".join("abcdefgh"[: len(expected.split())]), expected, found, found, form="tags")


ANSWERS = [
    answer(0, "B-ORG I-ORG O B-LOC", "B-ORG I-ORG O B-LOC"),  # both right
    answer(1, "B-ORG I-ORG O", "B-ORG O O"),  # too short
    answer(2, "O O B-LOC", "B-ORG O B-ORG"),  # one too many, one of another type
    answer(3, "O O", "O O"),
]


def scores(predictions, labels=TAGS):
    return {
        name: metric.value(predictions, labels)
        for name, metric in applicable(["accuracy"], predictions, labels).items()
    }


def test_scores_are_what_counting_by_hand_gives():
    found = scores(ANSWERS)
    assert list(found) == ["entity_f1", "entity_precision", "entity_recall", "tag_accuracy"]
    assert found["entity_precision"] == 2 / 5
    assert found["entity_recall"] == 2 / 4
    assert found["entity_f1"] == pytest.approx(2 * 0.4 * 0.5 / 0.9)
    assert found["tag_accuracy"] == 9 / 12


def test_nothing_found_is_no_score_rather_than_an_error():
    found = scores([answer(0, "B-ORG O", "O O")])
    assert (found["entity_f1"], found["entity_precision"], found["entity_recall"]) == (0, 0, 0)


def test_parts_of_speech_are_no_entities():
    assert list(scores([answer(0, "NN VB", "NN NN")], ["NN", "VB"])) == ["tag_accuracy"]


def test_the_exact_match_of_tags_is_every_tag_of_a_row():
    metric = registry.load("metric", "exact_match")()
    assert metric.applies(ANSWERS, TAGS)
    assert metric.value(ANSWERS, TAGS) == 0.5
    marks = [answer(0, "NN .", "NN ,")]
    assert metric.value(marks, ["NN", ".", ","]) == 0.0


def test_tags_are_no_classes():
    for name in ("accuracy", "f1_macro", "mcc", "invalid", "bleu", "perplexity"):
        assert not registry.load("metric", name)().applies(ANSWERS, TAGS), name
