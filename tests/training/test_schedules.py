"""The schedules against transformers' own formulas."""

import pytest
import torch
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)

from luthier import registry
from luthier.training.schedules import WarmupOptions

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
