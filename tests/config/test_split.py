from datetime import date

import pytest
from pydantic import ValidationError

from luthier.config import DataConfig, SplitConfig, parse_config
from luthier.config.times import seconds, timestamp
from luthier.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("45s", 45), ("30m", 1800), ("12h", 43_200), ("5d", 432_000), ("2 w", 1_209_600), ("1.5d", 129_600)],
)
def test_durations(text: str, wanted: float) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["5", "d", "5y", "-5d", "5 days", ""])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        seconds(text)


def test_moments_without_a_zone_are_utc() -> None:
    assert timestamp("1970-01-02") == 86_400
    assert timestamp("1970-01-01T01:00+01:00") == 0
    with pytest.raises(ValueError, match="no ISO 8601"):
        timestamp("October 2015")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "random", "embargo": "5d"}, "embargo needs by: time:COLUMN"),
        ({"by": "label", "known_at": ["price_time"]}, "known_at needs by: time:COLUMN"),
        ({"by": "label", "windows": {"test": "5d"}}, "windows needs by: time:COLUMN"),
        ({"embargo": "soon"}, "no duration"),
        ({"embargo": 0}, "greater than or equal to 1"),
        ({"test_from": "October"}, "no ISO 8601"),
        ({"test_from": "2015-01-01", "until": "2014-01-01"}, "test_from must be before until"),
        ({"train_from": "2015-01-01", "validation_from": "2015-01-01"}, "train_from must be before validation_from"),
        ({"windows": {"test": "60d", "step": "30d"}}, "step must be at least test"),
        ({"windows": {"test": "60d"}, "until": "2014-01-01"}, "windows and until do not go together"),
    ],
)
def test_what_does_not_fit_together(options: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SplitConfig.model_validate({"by": "time:date"} | options)


def test_what_is_carved_by_time_is_not_brought() -> None:
    with pytest.raises(ValidationError, match=r"split\.embargo is for a test that is carved by time"):
        DataConfig.model_validate({"train": "a", "test": "b", "split": {"by": "time:date", "embargo": "5d"}})
    with pytest.raises(ValidationError, match=r"split\.validation_from carves"):
        DataConfig.model_validate(
            {"train": "a", "validation": "b", "split": {"by": "time:date", "validation_from": "2015-01-01"}}
        )


def test_dates_may_be_python_s_own() -> None:
    made = SplitConfig.model_validate({"by": "time:date", "test_from": date(2015, 10, 1)})
    assert made == SplitConfig(by="time:date", test_from="2015-10-01")


def test_wrong_values_are_told_in_one_line_each() -> None:
    text = "model: {base: a}\ndata:\n  train: b\n  split:\n    by: time:date\n    embargo: soon\n    until: later\n"
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    lines = [line for line in str(caught.value).splitlines() if line.startswith("- ")]
    assert [line.split(": ")[1] for line in lines] == ["data.split.embargo", "data.split.until"]
    assert "'soon' is no duration" in lines[0]
    assert "'later' is no ISO 8601 date" in lines[1]


def test_an_embargo_is_a_duration_or_rows() -> None:
    assert SplitConfig(by="time:date", embargo="5d").embargo == "5d"
    assert SplitConfig(by="time:date", embargo=5).embargo == 5
