"""Windows of time: how they are laid out, and a run for each that picks up where it stopped."""

import json
from datetime import date, timedelta

import pytest

from luthier import pipeline
from luthier.cli.frame import run
from luthier.config import RunConfig
from luthier.data.ledger import read_ledger
from luthier.errors import ConfigError, DataError
from luthier.runs import Run
from luthier.training.walk_forward import window_config, windows


def rows_by_day(count=60):
    import random

    chance = random.Random(0)
    words = ["amber", "bridge", "candle", "dolphin", "engine", "forest", "garden", "harbour", "island", "jacket"]
    return [
        {
            "text": f"{' '.join(chance.sample(words, 5))} {('rose', 'fell')[n % 2]} {n * 7919}",
            "label": ("up", "down")[n % 2],
            "date": str(date(2015, 1, 1) + timedelta(days=n)),
        }
        for n in range(count)
    ]


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows_by_day()))
    return path


def config_of(rows, **options):
    split = {"by": "time:date", "windows": {"count": 2, "test": "10d"} | options}
    return RunConfig.model_validate(
        {"name": "w", "model": {"base": "none"}, "data": {"train": str(rows), "split": split}}
    )


def test_windows_are_laid_out_backwards_from_the_latest_row(rows):
    first, second = windows(config_of(rows, train="20d"))
    assert (second.test_from, second.until) == ("2015-02-20T00:00:00Z", "2015-03-02T00:00:00Z")
    assert (first.train_from, first.test_from, first.until) == (
        "2015-01-21T00:00:00Z", "2015-02-10T00:00:00Z", "2015-02-20T00:00:00Z",
    )  # fmt: skip
    assert second.train_from == "2015-01-31T00:00:00Z"
    assert (first.number, first.train_rows, first.test_rows) == (1, 20, 10)


def test_expanding_windows_train_on_all_that_came_before(rows):
    first, second = windows(config_of(rows))
    assert first.train_from is None
    assert second.train_rows == first.train_rows + first.test_rows


def test_a_step_leaves_time_between_the_tests(rows):
    first, second = windows(config_of(rows, test="5d", step="8d"))
    assert (first.until, second.test_from) == ("2015-02-22T00:00:00Z", "2015-02-25T00:00:00Z")


def test_windows_of_hours_end_with_the_latest_row(rows):
    [window] = windows(config_of(rows, count=1, test="36h"))
    assert (window.test_from, window.until) == ("2015-02-27T12:00:01Z", "2015-03-01T00:00:01Z")


def test_windows_of_times_in_milliseconds(rows, tmp_path):
    moments = [row | {"date": 1420070400000 + 86_400_000 * n} for n, row in enumerate(rows_by_day())]
    path = tmp_path / "moments.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in moments))
    assert windows(config_of(path)) == windows(config_of(rows))


def test_windows_without_rows_are_refused_before_anything_is_trained(rows):
    with pytest.raises(DataError, match="window 1 of 9 has no row before its test"):
        windows(config_of(rows, count=9))
    with pytest.raises(ConfigError, match="has no windows"):
        windows(RunConfig.model_validate({"model": {"base": "none"}, "data": {"train": str(rows)}}))


def test_a_window_is_an_ordinary_configuration(rows):
    config = config_of(rows, train="20d")
    made = window_config(config, windows(config)[1])
    split = made.data.split
    assert made.name == "w-2-2015-02-20"
    assert (split.by, split.windows) == ("time:date", None)
    assert (split.train_from, split.test_from, split.until) == (
        "2015-01-31T00:00:00Z", "2015-02-20T00:00:00Z", "2015-03-02T00:00:00Z",
    )  # fmt: skip
    assert made.model_copy(update={"data": config.data, "name": "w"}) == config


@pytest.mark.integration
@pytest.mark.usefixtures("own_cache")
def test_every_window_is_trained_once_and_all_answers_are_scored_together(
    rows, tmp_path, write_config, tiny_llama, monkeypatch, capsys
):
    split = {
        "by": "time:date",
        "embargo": "3d",
        "validation": 0,
        "windows": {"count": 2, "test": "10d", "train": "20d"},
    }
    config = write_config(
        tmp_path / "run.yaml",
        tiny_llama,
        rows,
        data={"labels": ["up", "down"], "split": split},
        training={"epochs": 1},
        evaluation={"few_shot": 0, "samples": 0, "every": None},
    )
    found = pipeline.walk_forward(config)
    assert [scores.rows for _, _, scores in found.windows] == [10, 10]
    assert found.pooled.rows == 20
    mean = sum(scores.tuned["value"] for _, _, scores in found.windows) / 2
    assert found.pooled.tuned["value"] == pytest.approx(mean), "accuracy of equally many rows"
    assert found.pooled.tuned["low"] <= mean <= found.pooled.tuned["high"]
    assert set(found.pooled.baselines) == {"majority", "tfidf"}
    assert found.comparison["tuned"]["accuracy"] == found.pooled.tuned
    assert {"accuracy", "mcc"} <= set(found.comparison["baselines"]["majority"]), "by every metric"
    for window, path, _ in found.windows:
        entries = list(read_ledger(Run.open(path).ledger_file))
        used = {entry.line for entry in entries if entry.fate == "kept"}
        assert len(used) == 20 + 10 - 2
        assert sum(entry.reason.startswith("outside of the window") for entry in entries) == 30
        assert sum(entry.reason.startswith("embargo: less than 3d") for entry in entries) == 2
        assert window.test_rows == 10
    monkeypatch.setattr("luthier.training.variants._process", lambda *_: pytest.fail("trained again"))
    assert run(["walk-forward", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found.to_dict()))
    assert run(["walk-forward", str(config)]) == 0
    assert "all together" in capsys.readouterr().out
