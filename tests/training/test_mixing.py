"""How often rows are seen: balance, weights, temperature, cap."""

from collections import Counter
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from luthier.config import BalanceConfig, RunConfig
from luthier.errors import ConfigError
from luthier.training.mixing import Group, Mix


def settings(balance=None, weights=(1,), **data):
    train = [{"path": f"{name}.jsonl", "weight": weight} for name, weight in zip("abc", weights, strict=False)]
    data = {"train": train, "balance": balance} | data
    return RunConfig.model_validate({"model": {"base": "none"}, "data": data})


def mix(config, labels=None, sources=None):
    """The mix of rows with these labels and sources, given as texts of one letter or digit a row."""
    count = len(labels or sources)
    labels = list(labels) if labels else [None] * count
    sources = np.array([int(digit) for digit in sources], np.int16) if sources else np.zeros(count, np.int16)
    return Mix.for_run(config, SimpleNamespace(labels=labels, sources=sources))


def repeats(made):
    return {group.name: round(group.repeats, 4) for group in made.groups}


def counted(made, epochs=1, of=None):
    rows = [int(row) for epoch in range(epochs) for row in made.epoch(epoch, seed=0)]
    return Counter(of[row] if of else row for row in rows)


UNEVEN = "a" * 30 + "b" * 7 + "c" * 3


def test_without_balance_and_weights_there_is_no_mix():
    assert mix(settings(), UNEVEN) is None


def test_oversampling_makes_labels_equally_many_and_keeps_every_row():
    made = mix(settings("oversample"), UNEVEN)
    assert counted(made, of=UNEVEN) == {"a": 30, "b": 30, "c": 30}
    assert set(counted(made)) == set(range(40))
    assert repeats(made) == {"a": 1.0, "b": 4.2857, "c": 10.0}
    seen = counted(made).values()
    assert Counter(seen) == {1: 30, 4: 5, 5: 2, 10: 3}, "30 draws of 7 rows are 4 each, and 2 once more"


def test_weighted_fills_an_epoch_of_the_same_size():
    labels = "a" * 900 + "b" * 100
    made = mix(settings("weighted"), labels)
    assert counted(made, of=labels) == {"a": 500, "b": 500}
    rows = counted(made, epochs=9)
    assert {rows[row] for row in range(900)} == {5}, "nine epochs of 5/9: every row equally often"


@pytest.mark.parametrize(
    ("temperature", "share"), [(1, 0.8), (2, 2 / 3), (5, 0.8**0.2 / (0.8**0.2 + 0.2**0.2)), (None, 0.5)]
)
def test_temperature(temperature, share):
    labels = "a" * 800 + "b" * 200
    made = mix(settings({"how": "weighted", "temperature": temperature}), labels)
    assert counted(made, of=labels)["a"] == pytest.approx(1000 * share, abs=1)


def test_a_cap_bounds_repeats_and_gives_the_room_to_others():
    labels = "a" * 60 + "b" * 38 + "c" * 2
    assert repeats(mix(settings({"how": "oversample", "cap": 4}), labels)) == {"a": 1, "b": 1.5789, "c": 4}
    made = mix(settings({"how": "weighted", "cap": 4}), labels)
    assert repeats(made) == {"a": 0.7667, "b": 1.2105, "c": 4}
    assert counted(made, of=labels) == {"a": 46, "b": 46, "c": 8}
    assert repeats(mix(settings({"how": "weighted", "cap": 1}), labels)) == {"a": 1, "b": 1, "c": 1}


def test_weights_of_sources_are_times_an_epoch():
    sources = "0" * 10 + "1" * 20
    made = mix(settings(weights=(2, 0.5)), sources=sources)
    assert repeats(made) == {"a.jsonl": 2.0, "b.jsonl": 0.5}
    assert counted(made, of=sources) == {"0": 20, "1": 10}
    assert set(counted(made, epochs=2).values()) == {4, 1}, "half of the rows in each epoch, all of them in two"


def test_balance_by_source_mixes_in_proportion_to_the_weights():
    sources = "0" * 10 + "1" * 90
    equal = mix(settings({"by": "source"}, weights=(1, 1)), sources=sources)
    assert counted(equal, of=sources) == {"0": 90, "1": 90}
    weighted = mix(settings({"by": "source", "how": "weighted"}, weights=(3, 1)), sources=sources)
    assert counted(weighted, of=sources) == {"0": 75, "1": 25}


def test_balance_by_label_mixes_a_labels_rows_by_weight():
    labels, sources = "a" * 60 + "b" * 20, "0" * 30 + "1" * 30 + "0" * 10 + "1" * 10
    made = mix(settings("oversample", weights=(3, 1)), labels, sources)
    assert set(repeats(made)) == {"a (weight 1)", "a (weight 3)", "b (weight 1)", "b (weight 3)"}
    both = counted(made, of=list(zip(labels, sources, strict=True)))
    assert both["a", "0"] + both["a", "1"] == both["b", "0"] + both["b", "1"]
    assert both["a", "0"] == 3 * both["a", "1"] == 90


def test_draws_of_a_group_are_one_endless_row_of_permutations():
    group = Group("a", np.arange(100, 107), 3 / 7)
    drawn = np.concatenate([group.drawn(epoch, (1, 2)) for epoch in range(14)])
    assert len(drawn) == 42
    for start in range(0, 42, 7):
        assert sorted(drawn[start : start + 7]) == list(range(100, 107))
    rounds = [tuple(drawn[start : start + 7]) for start in range(0, 42, 7)]
    assert all(one != two for one, two in pairwise(rounds))


def test_an_epoch_follows_from_seed_and_number():
    made = mix(settings("oversample"), UNEVEN)
    assert made.epoch(3, 1).tolist() == mix(settings("oversample"), UNEVEN).epoch(3, 1).tolist()
    assert made.epoch(3, 1).tolist() != made.epoch(3, 2).tolist()
    assert made.epoch(3, 1).tolist() != made.epoch(4, 1).tolist()


def test_rows_without_a_label_are_a_group_of_their_own():
    made = Mix.for_run(settings("oversample"), SimpleNamespace(labels=["a", "a", None], sources=np.zeros(3, np.int16)))
    assert repeats(made) == {"a": 1, "no label": 2}


def test_what_cannot_be_balanced_is_an_error():
    with pytest.raises(ConfigError, match="these rows have none"):
        mix(settings("oversample"), sources="000")
    answers = SimpleNamespace(labels=[str(n) for n in range(1500)], sources=np.zeros(1500, np.int16))
    with pytest.raises(ConfigError, match="1500 different answers: they are no labels"):
        Mix.for_run(settings("weighted"), answers)


def test_forms_of_the_key():
    assert settings("none").data.balance is None
    assert settings("weighted").data.balance == BalanceConfig(how="weighted")
    assert settings({"by": "source", "cap": 3}).data.balance == BalanceConfig(how="oversample", by="source", cap=3)
    with pytest.raises(ValidationError, match="'oversample' or 'weighted'"):
        settings("oversmaple")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"weights": (2,), "pack": True}, "pack and weights do not go together"),
        ({"test": [{"path": "t.jsonl", "weight": 2}]}, "weight is for training sources"),
    ],
)
def test_what_does_not_go_together(data, message):
    with pytest.raises(ValidationError, match=message):
        settings(**data)
