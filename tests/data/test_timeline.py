import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luthier.config import RunConfig, SplitConfig
from luthier.data.ledger import read_ledger
from luthier.data.prepare import Prepared, prepare
from luthier.data.splits import TEST, TRAIN, VALIDATION, Keys, carve
from luthier.data.timeline import embargoed, outside

DAY = 86_400.0
NOTHING_KNOWN = np.full(10, np.nan)


def days(*numbers: float) -> np.ndarray:
    return np.array(numbers) * DAY


def codes(*counts: int) -> np.ndarray:
    return np.repeat(np.arange(3), counts).astype(np.int8)


def test_an_embargo_of_days_keeps_every_later_split_apart() -> None:
    found = embargoed(days(*range(10)), NOTHING_KNOWN, codes(6, 2, 2), "2d")
    assert found == {
        5: "embargo: less than 2d before the validation split",
        7: "embargo: less than 2d before the test split",
    }


def test_the_embargo_reaches_past_a_short_validation_split() -> None:
    found = embargoed(days(*range(10)), NOTHING_KNOWN, codes(7, 1, 2), "4d")
    assert set(found) == {4, 5, 6, 7}


def test_an_embargo_of_rows_takes_all_rows_of_one_time() -> None:
    times = days(0, 1, 2, 3, 3, 3, 4, 5, 6, 7)
    found = embargoed(times, NOTHING_KNOWN, codes(7, 0, 3), 2)
    assert found == dict.fromkeys((3, 4, 5, 6), "embargo: among the last 2 rows before the test split")


def test_rows_are_counted_whatever_their_order() -> None:
    order = np.random.default_rng(0).permutation(10)
    found = embargoed(days(*range(10))[order], NOTHING_KNOWN, codes(6, 2, 2)[order], "2d")
    assert {int(order[row]) for row in found} == {5, 7}


@pytest.mark.parametrize("embargo", [None, "1d"])
def test_a_label_that_became_known_later_is_purged(embargo: str | None) -> None:
    known = days(*range(10)) + DAY
    known[2] = 7.5 * DAY
    found = embargoed(days(*range(10)), known, codes(6, 2, 2), embargo)
    assert found[2].startswith("embargo: its label became known after the")
    assert {2, 5, 7} == set(found), "a label known with the split's first row is known too late"


def test_without_a_later_split_nothing_is_dropped() -> None:
    assert embargoed(days(*range(10)), NOTHING_KNOWN, codes(10, 0, 0), "5d") == {}
    assert embargoed(days(*range(10)), NOTHING_KNOWN, codes(0, 0, 10), 3) == {}


def test_rows_outside_of_the_window() -> None:
    config = SplitConfig(by="time:date", train_from="1970-01-03", until="1970-01-06")
    assert outside(days(0, 2, 4, 5), config) == {
        0: "outside of the window: before 1970-01-03",
        3: "outside of the window: not before 1970-01-06",
    }


def carved(**options: Any) -> list[int]:
    labels = np.full(10, -1, np.int32)
    config = SplitConfig.model_validate({"by": "time:date"} | options)
    return carve(Keys(labels, times=days(*range(10))), config, test=True, validation=True)[0].tolist()


def test_dates_in_place_of_shares() -> None:
    assert carved(validation_from="1970-01-06", test_from="1970-01-09") == [TRAIN] * 5 + [VALIDATION] * 3 + [TEST] * 2
    assert carved(test_from="1970-01-06", validation=0.2) == [TRAIN] * 3 + [VALIDATION] * 2 + [TEST] * 5
    assert carved(validation_from="1970-01-06", test=0.1) == [TRAIN] * 5 + [VALIDATION] * 4 + [TEST]
    assert carved(test_from="1970-01-06", validation=0, test=0) == [TRAIN] * 5 + [TEST] * 5


class Words:
    """Stands for a task: a token of every word."""

    from luthier.data.examples import Labelled

    kinds = (Labelled,)

    def encode(self, examples: Any, renderer: Any) -> Any:
        from luthier.data.records import TokenSequence

        return [
            [
                TokenSequence(
                    list(map(len, example.text.split())), [True] * len(example.text.split()), 1, row, example.text
                )
            ]
            for row, example in examples
        ]


class Tokenizer:
    chat_template = "{{ messages }}"


def prepared(folder: Path, rows: list[dict[str, Any]], **split: Any) -> Prepared:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"train": str(path), "clean": [], "split": {"by": "time:date", "test": 0.2, "validation": 0.2} | split}
    config = RunConfig.model_validate({"model": {"base": "none"}, "data": data | {"tolerance": 0.5}})
    return prepare(config, Words(), Tokenizer(), "tokens", cache=folder / "cache")


WORDS = ("amber", "bridge", "candle", "dolphin", "engine", "forest", "garden", "harbour", "island", "jacket")


def story(number: int, **more: Any) -> dict[str, Any]:
    text = f"{WORDS[number]} {number * 7919} {WORDS[(number * 3 + 1) % 10]}"
    return {"text": text, "label": "ab"[number % 2], "date": f"2015-01-{number + 1:02}"} | more


def test_the_embargo_is_in_the_ledger(tmp_path: Path) -> None:
    made = prepared(tmp_path, [story(number) for number in range(10)], embargo="1.5d")
    fates = {entry.line: (entry.split, entry.reason) for entry in read_ledger(made.ledger) if entry.fate != "kept"}
    assert fates == {
        6: ("train", "embargo: less than 1.5d before the validation split"),
        8: ("validation", "embargo: less than 1.5d before the test split"),
    }
    assert (len(made.train), len(made.validation), len(made.test)) == (5, 1, 2)


def test_label_times_are_read_from_their_column(tmp_path: Path) -> None:
    rows = [story(number, label_time=f"2015-01-{number + 1:02}T21:00Z") for number in range(10)]
    rows[1]["label_time"] = "2015-01-30"
    rows[2]["label_time"] = ""
    made = prepared(tmp_path, rows, label_time="label_time")
    fates = {entry.line: entry.reason for entry in read_ledger(made.ledger) if entry.fate != "kept"}
    assert fates == {
        2: "embargo: its label became known after the validation split began",
        3: "no value in column 'label_time', which the split goes by",
    }


def test_windows_alone_are_named_and_left_to_their_command(tmp_path: Path) -> None:
    made = prepared(tmp_path, [story(number) for number in range(10)], windows={"test": "2d"})
    assert any("luthier walk-forward" in note for note in made.notes)
    assert len(made.test) == 2
