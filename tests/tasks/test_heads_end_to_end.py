"""Tags, several labels and numbers from the first row to the exported model, by the command line."""

import json
import math
import random
from pathlib import Path

import pytest

from luthier.cli import frame

pytestmark = pytest.mark.integration

WORDS = "amber bridge candle dolphin engine forest garden harbour island jacket kettle lantern meadow needle".split()  # noqa: SIM905
FIRMS, TOWNS = ("Nokia", "Fortum", "Kone", "Neste"), ("Turku", "Vaasa", "Espoo")
SIGNS = {"rose": "results", "fell": "results", "merged": "merger", "paid": "dividend"}
NUMBERS = {"soared": 1.0, "rose": 0.5, "slipped": -0.5, "crashed": -1.0}


def tagged_rows(count=90):
    """Firms of one or two words, and towns, among other words."""
    chance = random.Random(1)
    rows = []
    for number in range(count):
        firm = [chance.choice(FIRMS)] + (["Oyj"] if number % 2 else [])
        parts = [(firm, "ORG")] + ([([chance.choice(TOWNS)], "LOC")] if number % 3 else [])
        parts += [([word], None) for word in chance.sample(WORDS, chance.randint(2, 5))]
        chance.shuffle(parts)
        words = [word for part, _ in parts for word in part]
        tags = [f"{'I' if n else 'B'}-{kind}" if kind else "O" for part, kind in parts for n in range(len(part))]
        rows.append({"words": words, "tags": tags})
    return rows


def sentences(count, signs, most):
    chance = random.Random(2)
    for _ in range(count):
        chosen = chance.sample(sorted(signs), chance.randint(most > 1, most) if most > 1 else 1)
        words = [*chance.sample(WORDS, chance.randint(2, 5)), *chosen]
        chance.shuffle(words)
        yield " ".join(words), chosen


def several_rows(count=150):
    return [
        {"text": text, "labels": sorted({SIGNS[word] for word in chosen})}
        for text, chosen in sentences(count, SIGNS, 3)
    ]


def scored_rows(count=120):
    return [{"text": text, "score": NUMBERS[word]} for text, [word] in sentences(count, NUMBERS, 1)]


KINDS = {
    "tags": ("token_classification", tagged_rows()),
    "several": ({"name": "sequence_classification", "kind": "several"}, several_rows()),
    "regression": ({"name": "sequence_classification", "kind": "regression"}, scored_rows()),
}

METHODS = {"bert": {"name": "full"}, "llama": {"name": "lora", "rank": 8}}
RATES = {"bert": {"learning_rate": 3e-3}, "llama": {"learning_rate": 1e-2}}


def said(capsys, *arguments):
    assert frame.run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def config(tmp_path, own_cache, write_config, request):
    def make(base, kind, **parts):
        task, rows = KINDS[kind]
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        chosen = {
            "task": task,
            "data": {"split": {"test": 0.2, "validation": 0.1, "by": "random"}, "labels": None, "instruction": None}
            | parts.pop("data", {}),
            "training": {"epochs": 20, "batch_size": 8, "seed": 3} | RATES[base] | parts.pop("training", {}),
            "method": METHODS[base],
        } | parts
        folder = request.getfixturevalue(f"tiny_{base}")
        return str(write_config(tmp_path / "run.yaml", folder, file, **chosen))

    return make


def scores_of(result):
    return result["metrics"]["results"]["test"]["head"]


@pytest.mark.parametrize("base", ["bert", "llama"])
def test_tags(base, config, capsys, tmp_path):
    path = config(base, "tags")
    plan = said(capsys, "plan", path)
    assert set(plan["labels"]) == {"B-LOC", "B-ORG", "I-ORG", "O"}
    assert plan["labels"]["B-ORG"] == plan["rows"]["train"], "words are counted, not whole rows"
    assert plan["engine"] == "fast", plan["engine_reason"]
    result = said(capsys, "train", path)
    scores = scores_of(result)
    assert next(iter(scores["tuned"])) == "entity_f1"
    assert scores["tuned"]["entity_f1"]["value"] > {"bert": 0.9, "llama": 0.7}[base]
    assert scores["form"] == "tags"
    assert set(scores["baselines"]) == {"word_tags"}
    assert "confusion" not in scores
    [found] = said(capsys, "predict", result["run"], "amber Nokia Oyj  bridge candle Turku")
    assert found["text"] == "amber Nokia Oyj bridge candle Turku"
    tags = found["answer"].split(" ")
    assert len(tags) == 6
    assert tags[1] == "B-ORG"
    assert frame.run(["predict", result["run"], "Nokia harbour"]) == 0
    assert "Nokia/B-ORG" in capsys.readouterr().out
    report = said(capsys, "report", result["run"])
    assert "/B-ORG" in Path(report["report"]).read_text(encoding="utf-8")
    exported = said(capsys, "export", result["run"], "--to", "merged", "--output", str(tmp_path / "merged"))
    assert exported["parity"]["distance"] <= exported["parity"]["allowed"]
    assert by_pipeline("token-classification", tmp_path / "merged", "Nokia harbour")[0]["entity"] == "B-ORG"


def by_pipeline(task, folder, text):
    """What plain `transformers` says."""
    from transformers import pipeline

    return pipeline(task, model=str(folder), device="cpu")(text)


def test_tagged_rows_that_are_too_long_are_split_and_scored(config, capsys):
    path = config("bert", "tags", data={"max_length": 24, "too_long": "split"}, training={"epochs": 1})
    result = said(capsys, "train", path)
    summary = result["record"]["data"]
    assert scores_of(result)["rows"] > 18, "every piece is a row"
    assert summary["labels"] == ["B-LOC", "B-ORG", "I-ORG", "O"]
    lines = (Path(result["run"]) / "evaluation" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    for line in map(json.loads, lines):
        assert len(line["prompt"].split(" ")) == len(line["expected"].split(" ")) == len(line["parsed"].split(" "))
    assert frame.run(["predict", result["run"], "amber " * 30]) == 3
    assert "pieces" in capsys.readouterr().err


@pytest.mark.parametrize("base", ["bert", "llama"])
def test_several_labels(base, config, capsys, tmp_path):
    path = config(base, "several")
    plan = said(capsys, "plan", path)
    assert set(plan["labels"]) == {"dividend", "merger", "results"}
    assert plan["engine"] == "fast", plan["engine_reason"]
    result = said(capsys, "train", path)
    scores = scores_of(result)
    assert list(scores["tuned"])[:3] == ["f1_macro", "f1_weighted", "f1_micro"]
    assert scores["tuned"]["f1_micro"]["value"] > 0.7
    assert scores["margins"]["commonest_labels"]["f1_micro"]["low"] > 0
    assert "per_class" not in scores
    [found] = said(capsys, "predict", result["run"], "amber merged forest")
    likely = [label for label, score in found["scores"].items() if math.exp(score) > 0.5]
    assert found["answer"] == " | ".join(sorted(likely))
    assert frame.run(["predict", result["run"], "amber merged forest"]) == 0
    assert ", ".join(f"{math.exp(found['scores'][label]):.3f}" for label in sorted(likely)) in capsys.readouterr().out
    said(capsys, "export", result["run"], "--to", "merged", "--output", str(tmp_path / "merged"))
    [sure] = by_pipeline("text-classification", tmp_path / "merged", "amber merged forest")
    likeliest = max(found["scores"], key=found["scores"].get)
    assert (sure["label"], sure["score"]) == (
        likeliest,
        pytest.approx(math.exp(found["scores"][likeliest]), abs=1e-3),
    ), "each label by itself"


@pytest.mark.parametrize("base", ["bert", "llama"])
def test_regression(base, config, capsys, tmp_path):
    path = config(base, "regression")
    plan = said(capsys, "plan", path)
    assert plan["labels"] == {}
    assert plan["engine"] == "fast", plan["engine_reason"]
    result = said(capsys, "train", path)
    scores = scores_of(result)
    assert list(scores["tuned"]) == ["rmse", "mae", "pearson", "spearman", "r2", "loss"]
    assert scores["tuned"]["rmse"]["high"] < scores["baselines"]["mean"]["rmse"]["low"]
    assert scores["margins"]["mean"]["rmse"]["high"] < 0
    assert scores["baselines"]["mean"]["pearson"]["value"] == 0
    assert set(scores["baselines"]) == {"mean", "tfidf_ridge"}
    high, low = (
        float(row["answer"]) for row in said(capsys, "predict", result["run"], "amber soared", "amber crashed")
    )
    assert high > 0.5 > -0.5 > low
    said(capsys, "report", result["run"])
    said(capsys, "export", result["run"], "--to", "merged", "--output", str(tmp_path / "merged"))
    [found] = by_pipeline("text-classification", tmp_path / "merged", "amber soared")
    assert found["score"] == pytest.approx(high, abs=1e-3), "the number itself, not its sigmoid"


@pytest.mark.parametrize("kind", list(KINDS))
def test_adapters_train_the_head_with_them_and_merge(kind, config, capsys, tmp_path):
    path = config("bert", kind, method={"name": "lora", "rank": 8}, training={"epochs": 3, "learning_rate": 1e-2})
    result = said(capsys, "train", path)
    assert result["record"]["engine"] == "fast"
    exported = said(capsys, "export", result["run"], "--to", "merged", "--output", str(tmp_path / "merged"))
    assert exported["parity"]["distance"] <= exported["parity"]["allowed"]
    assert exported["parity"]["rows"] > 10


def test_scores_for_a_task_of_labels_are_refused_with_what_to_write(config, capsys):
    path = config("bert", "regression", task="sequence_classification")
    assert frame.run(["plan", path]) == 3
    assert "kind: regression} learns from such rows" in capsys.readouterr().err
