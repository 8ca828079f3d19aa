"""StockNet's experiments: which stocks, which settings, what the page says of them."""

import io
import json
import tarfile

import accept
import pytest
import stocknet
import walk_forward_page

from luthier.config import load_config


@pytest.fixture
def archive(tmp_path):
    tweet = json.dumps({"text": ["$", "x"], "created_at": "Wed Jan 01 03:59:03 +0000 2014"}) + "\n"
    files = {
        "tweet/preprocessed/AAA/2014-01-01": tweet * 2,
        "tweet/preprocessed/BBB/2015-06-30": tweet * 3,
        "tweet/preprocessed/CCC/2015-07-01": tweet * 9,
        "tweet/preprocessed/CCC/2014-07-01": tweet,
        "tweet/raw/AAA/2014-01-01": tweet * 9,
    }
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return tmp_path / "a.tar.gz"


def test_what_is_tweeted_in_the_tests_does_not_choose_stocks(archive):
    assert stocknet.busiest(archive, 2) == ["BBB", "AAA"]


@pytest.mark.parametrize("name", stocknet.EXPERIMENTS)
def test_experiments_are_valid_configurations(name, tmp_path, archive):
    stocknet.write(archive, tmp_path)
    each = stocknet.EXPERIMENTS[name]
    config, *settings = (part.replace("{folder}", str(tmp_path)) for part in (each.config, *each.settings))
    config = load_config(config, settings)
    assert config.name == f"stocknet-{name}"
    assert config.data.split.windows is not None
    assert config.data.split.by.startswith("time:")


def score(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def entry():
    baselines = {"always_up": {"direction_accuracy": score(0.5), "direction_mcc": score(0.0)}}
    scores = {"rows": 10, "tuned": score(0.55), "base": None, "baselines": {"always_up": score(0.5)}}
    window = {"test_from": "2015-07-07T00:00:00Z", "until": "2015-10-06T00:00:00Z", "scores": scores}
    return {
        "about": "About it",
        "commands": [" ".join(stocknet.shown(["walk-forward", "{folder}/run.yaml"]))],
        "metric": "direction accuracy",
        "windows": [window | {"train_rows": 1000, "steps": 125, "seconds": 90.0}],
        "comparison": {
            "rows": 10,
            "metrics": {
                "direction_accuracy": {"title": "direction accuracy", "higher_is_better": True},
                "direction_mcc": {"title": "correlation", "higher_is_better": True},
            },
            "base": None,
            "tuned": {"direction_accuracy": score(0.55), "direction_mcc": score(0.1)},
            "baselines": baselines,
            "margins": {"always_up": {"direction_accuracy": {"value": 0.05, "low": -0.1, "high": 0.2, "p": 0.4}}},
        },
        "processor": "a processor",
        "dtype": "float32",
    }


def test_the_page_has_windows_all_answers_and_what_is_clear(tmp_path, monkeypatch):
    monkeypatch.setattr(walk_forward_page, "RECORD", tmp_path / "walk-forward.json")
    walk_forward_page.keep("one", entry())
    walk_forward_page.keep("two", entry())
    page = accept.page({}, walk_forward_page.sections())
    assert page.count("luthier walk-forward FOLDER/run.yaml") == 2
    assert "| 2015-07-07 to 2015-10-06 | 1,000 | 10 | 0.550 (0.450–0.650) | – | 0.500 (0.400–0.600) |" in page
    assert "| tuned | 0.550 (0.450–0.650) | 0.100 (0.000–0.200) |" in page
    assert "- against *Always up*: no clear difference in direction accuracy (+0.050, −0.100 to +0.200" in page
    assert page.index("## two") < page.index("## Plan against run")


def test_a_run_gives_its_commands_and_writes_the_page(tmp_path, monkeypatch):
    record = {"data": {"rows": {"train": 900}}, "steps": 3, "seconds": 60.0, "dtype": "float32"}
    (tmp_path / "run.json").write_text(json.dumps(record | {"processor": {"name": "a processor"}}))
    kept = entry()
    windows = [window | {"run": str(tmp_path)} for window in kept["windows"]]
    asked = []

    def answer(command):
        asked.append(command)
        return {"metric": kept["metric"], "windows": windows, "comparison": kept["comparison"]}

    monkeypatch.setattr(stocknet, "luthier", answer)
    monkeypatch.setattr(walk_forward_page, "RECORD", tmp_path / "walk-forward.json")
    monkeypatch.setattr(accept, "PAGE", tmp_path / "results.md")
    stocknet.run("forecaster", tmp_path, ["data.limit=8"])
    rows, walked = asked
    assert rows[:3] == ["data", "forecast", f"{tmp_path}/tweets.jsonl"]
    assert rows[-1] == f"{tmp_path}/forecasts.jsonl"
    assert walked[0] == "walk-forward"
    assert f"data.train.path={tmp_path}/forecasts.jsonl" in walked
    assert walked[-1] == "data.limit=8"
    page = (tmp_path / "results.md").read_text()
    assert "## stocknet-forecaster" in page
    assert "luthier walk-forward finance_forecaster.yaml --set name=stocknet-forecaster" in page
    assert "| 900 | 10 |" in page
    assert str(tmp_path) not in page
