"""The language-modelling task: the loss against transformers' own, and how written answers are understood."""

import pytest
import torch

from luthier.data.records import TokenSequence
from luthier.tasks.causal_lm import CausalLm, CausalLmOptions, parse_label

LABELS = ("negative", "neutral", "positive")


@pytest.fixture(scope="module")
def network(tiny_llama):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(str(tiny_llama), dtype=torch.float32).eval()


def rows():
    lengths = ((9, 6), (5, 1), (12, 10))
    return [
        TokenSequence([3 + (7 * n + i) % 200 for i in range(t)], [i >= p for i in range(t)], p, n)
        for n, (t, p) in enumerate(lengths)
    ]


def test_loss_equals_the_library_one_row_at_a_time(network):
    task = CausalLm(CausalLmOptions())
    batch = task.collate(rows(), 0, ())
    expected = 0.0
    for row in rows():
        ids = torch.tensor([list(row.ids)])
        labels = torch.tensor([[i if s else -100 for i, s in zip(row.ids, row.supervised, strict=True)]])
        count = sum(row.supervised[1:])
        expected += float(network(ids, labels=labels).loss) * count
    assert batch.count == sum(sum(row.supervised[1:]) for row in rows())
    assert float(task.loss(network, batch)) == pytest.approx(expected, rel=1e-6)


def test_padding_and_other_rows_do_not_change_a_row(network):
    task = CausalLm(CausalLmOptions())
    together = task.loss(network, task.collate(rows(), 0, ()))
    apart = sum(task.loss(network, task.collate([row], 0, ())) for row in rows())
    assert float(together) == pytest.approx(float(apart), rel=1e-6)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("positive", "positive"),
        (" Positive.\nBecause profit rose", "positive"),
        ('"neutral"', "neutral"),
        ("The sentiment is negative.", "negative"),
        ("positive or negative", "positive"),
        ("It is positive, not negative", None),
        ("nonpositive", None),
        ("", None),
        ("great news", None),
    ],
)
def test_written_answers(raw, expected):
    assert parse_label(raw, LABELS) == expected


@pytest.mark.parametrize(
    ("raw", "labels", "expected"),
    [
        ("нетипично", ("да", "нет"), None),
        ("нет.", ("да", "нет"), "нет"),
        ("né", ("n", "p"), None),
        ("这是利好消息", ("利空", "利好"), "利好"),
        ("情感是positive的", LABELS, "positive"),
        ("긍정입니다", ("긍정", "부정"), "긍정"),
        ("_positive_", LABELS, "positive"),
    ],
)
def test_written_answers_in_other_letters(raw, labels, expected):
    assert parse_label(raw, labels) == expected


def test_longer_labels_win_over_their_beginnings():
    assert parse_label("very positive", ("positive", "very positive")) == "very positive"
    assert parse_label("利好", ("利空", "利好", "中性")) == "利好"
