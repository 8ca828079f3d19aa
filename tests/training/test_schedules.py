"""The schedules against the formulas of transformers and torch."""

import itertools
import json
import operator

import pytest
import torch
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_cosine_with_hard_restarts_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup,
    get_inverse_sqrt_schedule,
    get_linear_schedule_with_warmup,
    get_polynomial_decay_schedule_with_warmup,
    get_wsd_schedule,
)

from luthier import registry
from luthier.training.schedules import FollowsScores, WarmupOptions

PEAK = 0.5


def theirs(make, warmup_steps, total, **options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    schedule = make(optimizer, num_warmup_steps=warmup_steps, num_training_steps=total, **options)
    rates = []
    for _ in range(total):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return rates


def ours(name, total, **options):
    plugin = registry.load("schedule", name)
    schedule = plugin(plugin.Options(**options))
    return [PEAK * schedule.factor(step, total) for step in range(total)]


def without_total(optimizer, num_warmup_steps, num_training_steps):
    return get_constant_schedule_with_warmup(optimizer, num_warmup_steps)


@pytest.mark.parametrize(("warmup", "warmup_steps"), [(0.05, 3), (7, 7), (0, 0), (0.0, 0)])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("linear", get_linear_schedule_with_warmup),
        ("cosine", get_cosine_schedule_with_warmup),
        ("constant", without_total),
    ],
)
def test_same_rates_as_transformers(name, make, warmup, warmup_steps):
    assert ours(name, 57, warmup=warmup) == pytest.approx(theirs(make, warmup_steps, 57), abs=1e-12)


def test_cosine_with_a_minimum():
    expected = theirs(get_cosine_with_min_lr_schedule_with_warmup, 5, 50, min_lr_rate=0.1)
    assert ours("cosine", 50, warmup=5, minimum=0.1) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("cycles", [2, 3])
def test_cosine_restarts(cycles):
    expected = theirs(get_cosine_with_hard_restarts_schedule_with_warmup, 5, 50, num_cycles=cycles)
    rates = ours("cosine", 50, warmup=5, cycles=cycles)
    assert rates == pytest.approx(expected, abs=1e-12)
    assert sum(later > earlier for earlier, later in itertools.pairwise(rates[5:])) == cycles - 1
    assert ours("cosine", 51, warmup=5, cycles=cycles, minimum=0.1)[-1] < 0.2 * PEAK, "it ends low, not at the peak"


@pytest.mark.parametrize(("power", "minimum"), [(1.0, 0.0), (2.0, 0.1), (0.5, 0.2)])
def test_polynomial(power, minimum):
    expected = theirs(get_polynomial_decay_schedule_with_warmup, 4, 40, power=power, lr_end=minimum * PEAK)
    assert ours("polynomial", 40, warmup=4, power=power, minimum=minimum) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("warmup", "timescale"), [(8, None), (0, 1)])
def test_inverse_sqrt(warmup, timescale):
    def without_total(optimizer, num_warmup_steps, num_training_steps):
        return get_inverse_sqrt_schedule(optimizer, num_warmup_steps, timescale)

    rates = ours("inverse_sqrt", 60, warmup=warmup)
    assert rates == pytest.approx(theirs(without_total, warmup, 60), abs=1e-12)
    assert rates[32] == pytest.approx(PEAK / 2 if warmup else PEAK / 33**0.5)


@pytest.mark.parametrize("shape", ["1-sqrt", "linear", "cosine"])
def test_wsd(shape):
    rates = ours("wsd", 50, warmup=5, decay=0.2, shape=shape)
    expected = theirs(get_wsd_schedule, 5, 50, num_decay_steps=10, decay_type=shape)
    assert rates == pytest.approx(expected, abs=1e-12)
    assert rates[5:41] == [PEAK] * 36, "stable"
    expected = theirs(get_wsd_schedule, 0, 50, num_decay_steps=10, decay_type=shape, min_lr_ratio=0.1)
    assert ours("wsd", 50, warmup=0, decay=10, shape=shape, minimum=0.1) == pytest.approx(expected, abs=1e-12)


def test_wsd_falls_only_behind_its_warmup():
    rates = ours("wsd", 20, warmup=10, decay=15, shape="linear")
    assert rates[10] == PEAK
    assert rates[10:] == sorted(set(rates[10:]), reverse=True)


SCORES = [5.0, 4.0, 4.5, 4.0, 3.0, 3.0, 3.1, 3.2, 3.0, 2.9, 3.0, 3.0, 3.0, 3.0]


@pytest.mark.parametrize(("patience", "minimum"), [(1, 0.0), (2, 0.0), (3, 0.0), (1, 0.2)])
@pytest.mark.parametrize("highest", [False, True])
def test_plateau(patience, minimum, highest):
    """After every evaluation the same rate as torch's, whose patience is one less: it counts those that pass."""
    plugin = registry.load("schedule", "plateau")
    schedule = plugin(plugin.Options(warmup=0, patience=patience, factor=0.5, minimum=minimum))
    assert isinstance(schedule, FollowsScores)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    judge = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "max" if highest else "min", 0.5, patience - 1, threshold=0, min_lr=minimum * PEAK
    )
    found, expected = [], []
    for score in (-score if highest else score for score in SCORES):
        schedule.see(score, operator.gt if highest else operator.lt)
        judge.step(score)
        found.append(PEAK * schedule.factor(1, 100))
        expected.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx(expected)
    assert min(found) < PEAK


def test_plateau_goes_on_where_it_was():
    plugin = registry.load("schedule", "plateau")
    whole, first, second = (plugin(plugin.Options(warmup=0)) for _ in range(3))
    for place, score in enumerate(SCORES):
        whole.see(score, operator.lt)
        if place == 7:
            second.restore(json.loads(json.dumps(first.state())))
        (first if place < 7 else second).see(score, operator.lt)
    assert second.state() == whole.state()
    assert second.factor(1, 9) == whole.factor(1, 9) < 1


@pytest.mark.parametrize("name", registry.names("schedule"))
def test_never_leaves_zero_to_one(name):
    plugin = registry.load("schedule", name)
    schedule = plugin(plugin.Options())
    for total in (1, 2, 19, 20, 1000):
        assert all(0.0 <= schedule.factor(step, total) <= 1.0 for step in range(total + 2))


def test_warmup_of_more_steps_than_the_run_has():
    rates = ours("linear", 4, warmup=8)
    assert rates == pytest.approx([0.0, PEAK / 8, PEAK / 4, PEAK * 3 / 8])


def test_a_share_above_one_is_refused():
    with pytest.raises(ValueError, match="share of all steps"):
        WarmupOptions(name="linear", warmup=1.5)
