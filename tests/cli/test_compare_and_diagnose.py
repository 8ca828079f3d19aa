"""The commands about finished runs, and those that come from other tools."""

import json
import shutil

import pytest

from luthier.cli.frame import run
from luthier.config import load_config
from luthier.errors import TrainingError
from luthier.pipeline import train_methods

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_cache")]


@pytest.fixture
def copies(trained_llama, trained_bert, tmp_path):
    return [shutil.copytree(trained.path, tmp_path / name) for trained, name in
            ((trained_llama, "llama"), (trained_bert, "bert"))]  # fmt: skip


def test_compare(copies, tmp_path, capsys):
    page, text = tmp_path / "page.html", tmp_path / "table.md"
    names = [str(copy) for copy in copies]
    assert run(["compare", *names, "--html", str(page), "--markdown", str(text), "--latency", "3"]) == 0
    shown = capsys.readouterr().out
    assert "no extra latency after merging" not in shown, "no LoRA of rank 16 among them"
    assert "ms merged" in shown
    assert "lora (rank 8)" in shown
    assert page.read_text().startswith("<!doctype html>")
    assert text.read_text().startswith("| run | method |")
    assert run(["compare", *names, "--json"]) == 0
    llama, bert = json.loads(capsys.readouterr().out)["runs"]
    assert llama["latency"]["rows"] == 3
    assert llama["answer_ms"] > 0
    assert 0 < llama["artefact_mb"] < llama["base_mb"]
    assert bert["difference"]["p"] <= 1, "another base and task, the same test rows"


def test_compare_is_refused(copies, tmp_path, capsys):
    assert run(["compare", str(tmp_path / "nothing")]) == 2
    assert run(["compare", str(copies[0]), "--set", "training.epochs=1"]) == 2
    assert "--methods" in capsys.readouterr().err
    assert run(["compare", *map(str, copies), "--methods", "lora"]) == 2
    assert "one configuration" in capsys.readouterr().err


def test_compare_trains_methods(write_config, tiny_bert, labelled_file, tmp_path, capsys):
    parts = {"training": {"max_steps": 2}, "task": "sequence_classification", "evaluation": {"every": None}}
    config = str(write_config(tmp_path / "run.yaml", tiny_bert, labelled_file, **parts))
    assert run(["compare", config, "--methods", "lora{rank: 16},full", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found["runs"]] == ["tiny-lora-rank-16", "tiny-full"]
    assert [claim["holds"] is None for claim in found["claims"]] == [False, False, False, True]
    assert found["runs"][1]["share"] == 1.0
    assert found["notes"] == []


def test_methods_that_cannot_be_trained_are_noted(
    write_config, tiny_llama, labelled_file, tmp_path, monkeypatch, capsys
):
    def train(config, *, quiet):
        if config.method.name == "lora":
            raise TrainingError(f"{config.name} could not be trained: no memory")
        return config.method.name

    monkeypatch.setattr("luthier.training.variants.train_apart", train)
    config = str(write_config(tmp_path / "run.yaml", tiny_llama, labelled_file))
    found, refused = train_methods(config, "bitfit,lora,ia3")
    assert found == ["ia3"]
    assert len(refused) == 2
    assert "no biases" in refused[0]
    assert refused[1] == "tiny-lora could not be trained: no memory"
    with pytest.raises(TrainingError, match=r"no biases.*no memory"):
        train_methods(config, "bitfit,lora")


def test_diagnose(copies, capsys):
    assert run(["diagnose", str(copies[0]), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"few_rows", "learning_rate"} <= {finding["symptom"] for finding in found["findings"]}
    assert json.loads((copies[0] / "diagnosis.json").read_text()) == found
    assert "An unusual learning rate" in (copies[0] / "report.html").read_text()
    assert run(["diagnose", str(copies[0])]) == 0
    shown = capsys.readouterr().out
    for words in ("warning: An unusual learning rate", "seen", "change    training.learning_rate: 0.0003", "--set"):
        assert words in shown


def test_finished_runs_are_shown_in_chinese(copies, tmp_path, capsys):
    report = copies[0] / "report.html"
    assert run(["report", str(copies[0]), "--lang", "zh"]) == 0
    assert '<html lang="zh">' in report.read_text(encoding="utf-8")
    assert run(["report", str(copies[0])]) == 0
    assert '<html lang="en">' in report.read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    assert run(["compare", *map(str, copies), "--html", str(page), "--lang", "zh"]) == 0
    assert "差值是配对的" in capsys.readouterr().out
    assert "2 个运行的对比" in page.read_text(encoding="utf-8")


def test_import_config(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.yml").write_text(
        "base_model: some/base\nadapter: lora\nlora_target_linear: true\ndatasets: [{path: rows.jsonl, type: alpaca}]\n"
        "made_up: 1\n"
    )
    assert run(["import-config", "other.yml"]) == 0
    shown = capsys.readouterr().out
    assert "from Axolotl" in shown
    assert "1 not known" in shown
    assert load_config("run.yaml").model.base == "some/base"
    assert run(["import-config", "other.yml"]) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["import-config", "other.yml", "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tool"] == "Axolotl"
