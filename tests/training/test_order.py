"""Which rows a step takes."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from luthier.training.order import Order, cheapest_batches


def order(count: int = 50, **options) -> Order:
    lengths = np.arange(5, 5 + count)
    settings = {"batch_size": 8, "micro_batch": "auto", "balance": "none", "seed": 1} | options
    labels = settings.pop("labels", None)
    return Order(lengths, labels, **settings)


def test_every_row_once_an_epoch():
    made = order()
    assert made.steps_per_epoch == 7
    first = [row for step in range(1, 8) for row in made.rows(step)]
    second = [row for step in range(8, 15) for row in made.rows(step)]
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_same_seed_same_order_and_any_step_at_random_access():
    assert order().rows(9) == order().rows(9)
    assert order().rows(9) != order(seed=2).rows(9)


@pytest.mark.parametrize("micro_batch", [1, 3, 8, "auto"])
def test_micro_batches_hold_the_rows_of_the_step(micro_batch):
    made = order(micro_batch=micro_batch)
    rows = made.rows(3)
    parts = made.micro_batches(rows)
    assert sorted(row for part in parts for row in part) == sorted(rows)
    lengths = [int(made.lengths[row]) for part in parts for row in part]
    assert lengths == sorted(lengths, reverse=True)
    if micro_batch != "auto":
        assert max(map(len, parts)) == min(micro_batch, len(rows))


def test_cheapest_batches_are_the_cheapest_of_all_cuts():
    lengths = [30, 90, 31, 88, 10, 35]
    ordered = sorted(lengths, reverse=True)
    made = [[lengths[index] for index in batch] for batch in cheapest_batches(lengths, call_tokens=20)]

    def cost(batches):
        return sum(len(batch) * max(batch) + 20 for batch in batches)

    cuts = [[i + 1 for i in range(5) if mask >> i & 1] for mask in range(32)]
    every = [[ordered[a:b] for a, b in pairwise([0, *cut, 6])] for cut in cuts]
    assert cost(made) == min(map(cost, every))
    assert sorted(length for batch in made for length in batch) == sorted(lengths)


def test_auto_micro_batches_stay_within_the_tokens():
    made = Order([600] * 16, None, batch_size=16, micro_batch="auto", balance="none", seed=0)
    assert {len(part) for part in made.micro_batches(made.rows(1))} <= {3, 1}


def test_oversampling_makes_labels_equally_many():
    labels = ["a"] * 30 + ["b"] * 7 + ["c"] * 3
    made = Order([10] * 40, labels, batch_size=9, micro_batch=9, balance="oversample", seed=0)
    rows = [row for step in range(1, made.steps_per_epoch + 1) for row in made.rows(step)]
    assert Counter(labels[row] for row in rows) == {"a": 30, "b": 30, "c": 30}
    assert set(rows) == set(range(40)), "every row is still seen"


def test_weighted_draws_labels_equally_often():
    labels = ["a"] * 900 + ["b"] * 100
    made = Order([10] * 1000, labels, batch_size=100, micro_batch=100, balance="weighted", seed=0)
    counts = Counter(labels[row] for step in range(1, 11) for row in made.rows(step))
    assert 400 < counts["b"] < 600


def test_steps_of_part_epochs_and_limits():
    made = order(count=64)
    assert made.total_steps(0.5, None) == 4
    assert made.total_steps(2, None) == 16
    assert made.total_steps(2, 5) == 5
    assert made.total_steps(0.001, None) == 1
