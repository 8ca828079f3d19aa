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
