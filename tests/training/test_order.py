"""Which rows a step takes."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from luthier.training.mixing import Group, Mix
from luthier.training.order import Order, best_fit, cheapest_batches, micro_batches


def order(count: int = 50, **options) -> Order:
    return Order(np.arange(5, 5 + count), **{"batch_size": 8, "seed": 1} | options)


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


@pytest.mark.parametrize("size", [1, 3, 8, "auto"])
def test_micro_batches_hold_the_rows_of_the_step(size):
    lengths = [7, 31, 12, 90, 12, 55, 8]
    parts = micro_batches(lengths, size)
    assert sorted(row for part in parts for row in part) == list(range(7))
    ordered = [lengths[row] for part in parts for row in part]
    assert ordered == sorted(lengths, reverse=True)
    if size != "auto":
        assert max(map(len, parts)) == min(size, 7)


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
    assert {len(part) for part in micro_batches([600] * 16, "auto")} <= {3, 1}


def test_a_mix_decides_how_often_rows_are_seen():
    groups = [Group("a", np.arange(30), 1.0), Group("b", np.arange(30, 40), 2.5)]
    made = order(40, batch_size=9, mix=Mix(groups))
    assert made.steps_per_epoch == 7, "55 rows"
    for epoch in range(2):
        rows = [row for step in range(1, 8) for row in made.rows(7 * epoch + step)]
        assert Counter(row < 30 for row in rows) == {True: 30, False: 25}
    assert order(40, batch_size=9, mix=Mix(groups)).rows(12) == made.rows(12), "any step, from its number alone"
    assert made.rows(1) != made.rows(8)
    assert made.rows_seen(14) == 110
    assert [share.to_dict() for share in made.shares(14)] == [
        {"name": "a", "rows": 30, "repeats": 1.0, "epochs": 2.0},
        {"name": "b", "rows": 10, "repeats": 2.5, "epochs": 5.0},
    ]
    assert order().shares(14) == [], "every row once an epoch"


def test_steps_of_part_epochs_and_limits():
    made = order(count=64)
    assert made.total_steps(0.5, None) == 4
    assert made.total_steps(2, None) == 16
    assert made.total_steps(2, 5) == 5
    assert made.total_steps(0.001, None) == 1


def test_rows_are_packed_whole_and_nearly_full():
    random = np.random.default_rng(0)
    lengths = [*random.integers(5, 200, 500).tolist(), 700]
    packs = best_fit(lengths, 256)
    assert sorted(row for pack in packs for row in pack) == list(range(501))
    filled = [sum(lengths[row] for row in pack) for pack in packs]
    assert [500] in packs, "a row that is longer than the others may be stands alone"
    assert all(tokens <= 256 for tokens in filled if tokens != 700)
    assert sum(lengths[:500]) / (256 * (len(packs) - 1)) > 0.95


def test_steps_count_full_rows():
    lengths = [100] * 10 + [50] * 20 + [200] * 3
    made = Order(lengths, batch_size=2, seed=0, pack=200)
    assert made.steps_per_epoch == 7, "2600 tokens fill 13 rows"
    for epoch in range(2):
        steps = [made.rows(epoch * 7 + step) for step in range(1, 8)]
        assert sorted(row for step in steps for row in step) == list(range(33))
        assert all(sum(lengths[row] for row in step) == 400 for step in steps[:-1])
    assert made.rows(1) != made.rows(8), "every epoch has an order of its own"
    assert made.rows_seen(14) == 66
    assert made.notes == ["data.pack: 33 training rows fill 13 rows of 200 tokens to 100%"]
    assert Order(lengths, batch_size=2, seed=0).notes == []
