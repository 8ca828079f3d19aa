"""The forecaster from news and prices to its report, on a tiny model."""

import json
import random
from datetime import date, timedelta

import pytest

from luthier import pipeline
from luthier.cli.frame import run
from luthier.config import load_config
from luthier.recipes import recipe
from luthier.runs import read_events

WEEKS = 22
DIRECTIONS = (
    *("direction_accuracy", "direction_accuracy_valid", "direction_mcc"),
    *("move_mse", "move_mse_valid", "valid_forecasts"),
)


def test_it_has_the_published_settings():
    config = load_config(recipe("finance_forecaster").path)
    method, training = config.method.model_dump(), config.training
    assert {key: method[key] for key in ("name", "rank", "alpha", "dropout", "targets")} == {
        "name": "lora", "rank": 8, "alpha": 16, "dropout": 0.1, "targets": "all-linear",
    }  # fmt: skip
    assert (training.learning_rate, training.epochs) == (1e-4, 8)
    assert training.schedule.model_dump() == {"name": "linear", "warmup": 0.05}
    assert training.batch_size / training.micro_batch == 8, "accumulation"
    assert (config.data.max_length, config.data.too_long) == (512, "drop")


@pytest.fixture
def rows(tmp_path, capsys):
    """Forecasts of three stocks, made by the command."""
    chance, monday = random.Random(0), date(2015, 1, 5)
    news, prices = [], ["symbol,date,close"]
    for symbol in "ABC":
        close = 100.0
        for week in range(-1, WEEKS):
            day = monday + timedelta(days=7 * week)
            close *= 1 + chance.uniform(-0.06, 0.06)
            prices.append(f"{symbol},{day + timedelta(days=4)},{close:.2f}")
            if week >= 0:
                text = " ".join(chance.sample(["amber", "bridge", "candle", "dolphin", "engine", "forest"], 3))
                news.append({"symbol": symbol, "at": f"{day}T12:00Z", "text": f"{text} {chance.random():.3f}"})
    (tmp_path / "news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in news))
    (tmp_path / "prices.csv").write_text("\n".join(prices) + "\n")
    files = [str(tmp_path / name) for name in ("news.jsonl", "prices.csv")]
    words = ["--by", "symbol", "--time", "at=date", "--price", "close", "--weeks", "1"]
    made = tmp_path / "forecasts.jsonl"
    assert run(["data", "forecast", *files, *words, "--output", str(made)]) == 0
    shown = capsys.readouterr().out
    assert "60 forecasts of 66 rows of news, 69 prices" in shown
    assert "left out: the week after is not over" in shown
    return made


@pytest.mark.integration
@pytest.mark.usefixtures("own_cache")
def test_from_news_and_prices_to_the_report(rows, tmp_path, tiny_llama):
    settings = [
        f"model={{base: {tiny_llama}, device: cpu, dtype: float32}}", f"data.train.path={rows}", "data.system=null",
        "training.max_steps=4", "training.batch_size=4", "evaluation.every=2", "evaluation.limit=3",
        "evaluation.samples=2", "evaluation.generate.max_new_tokens=4", "evaluation.forgetting=null",
        f"output={tmp_path / 'runs'}",
    ]  # fmt: skip
    plan = pipeline.plan(recipe("finance_forecaster").path, settings)
    assert plan.steps == 4
    made = pipeline.train(recipe("finance_forecaster").path, settings)
    told = [event for event in read_events(made.path / "events.jsonl") if event["kind"] == "evaluation"]
    assert {(event["split"], event["step"]) for event in told} == {
        ("samples", 0), *((split, step) for step in (2, 4) for split in ("train", "validation", "samples")),
    }  # fmt: skip
    asked = [event["metrics"] for event in told if event["split"] != "train"]
    assert all(set(DIRECTIONS) <= set(metrics) for metrics in asked)
    assert all("prediction/rouge_l" in metrics for metrics in asked), "of all rows that are answered"
    results = json.loads(made.metrics_file.read_text())
    assert results["primary"] == {"split": "test", "mode": "generate", "metric": "direction_accuracy"}
    found = results["results"]["test"]["generate"]
    assert found["tuned"]["valid_forecasts"]["value"] == 0 == found["tuned"]["direction_accuracy"]["value"]
    assert set(found["baselines"]) == {"always_up", "last_move", "tfidf_moves"}
    always_up = found["baselines"]["always_up"]["direction_accuracy"]
    assert 0 < always_up["low"] <= always_up["value"] <= always_up["high"] < 1
    report = made.report.read_text()
    for words in ("direction accuracy", "Always up", "The last move again", "Answers while it ran", "ROUGE-L"):
        assert words in report
