"""The commands that ask others: a judge behind an endpoint, FinGPT's benchmark, lm-eval."""

import json
import shutil

import pytest

from luthier.cli.frame import run

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_cache")]


@pytest.fixture
def copy(trained_llama, tmp_path):
    return shutil.copytree(trained_llama.path, tmp_path / "run")


def test_judge(copy, stub, capsys):
    always_first = stub(lambda body, number: "A")
    asked = always_first.bodies
    options = ["--endpoint", always_first.url, "--model", "small", "--limit", "3"]
    assert run(["judge", str(copy), *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((copy / "evaluation" / "judge.json").read_text())
    assert (found["rows"], found["inconsistent"], found["against"]) == (3, 3, "base")
    assert found["first_place"] == 1.0
    before = len(asked)
    assert {body["model"] for body in asked} == {"small"}
    assert run(["judge", str(copy), str(copy), *options]) == 0
    shown = capsys.readouterr().out
    assert "0 won, 0 lost, 3 tied of 3 rows" in shown
    assert "3 ties because the two orders disagree" in shown
    assert run(["judge", str(copy), *options]) == 0
    assert len(asked) <= before + 3, "the same two answers are asked about once, judged pairs never again"
    assert run(["judge", str(copy)]) == 2


def test_fingpts_benchmark(copy, tmp_path, capsys):
    (tmp_path / "valid.csv").write_text("text,label\n$AB falls,0\n$AB rises,1\n$AB meets,2\n")
    arguments = ["benchmark", "fingpt", str(copy), "--tfns", str(tmp_path / "valid.csv")]
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((copy / "evaluation" / "fingpt.json").read_text())
    assert found["sets"]["tfns"]["rows"] == 3
    lines = [json.loads(line) for line in (copy / "evaluation" / "fingpt.jsonl").read_text().splitlines()]
    assert [line["expected"] for line in lines] == ["negative", "positive", "neutral"]
    assert run([*arguments, "--base", "--prompts", "run", "--parsing", "strict"]) == 0
    shown = capsys.readouterr().out
    for words in (
        "TFNS, 3 rows",
        "this run (0 million",
        "its base, untuned",
        "FinGPT v3.3 (Llama-2-13B)",
        "0.903",
        "prompts: run",
    ):
        assert words in shown
    assert "0.882" not in shown, "FPB was not asked for"
    assert run(["benchmark", "fingpt", str(copy)]) == 2
    assert "no test set is given" in capsys.readouterr().err


def test_lm_eval(copy, monkeypatch, capsys):
    from luthier.evaluation import harness

    line = {"base": 0.25, "tuned": 0.75, "base_stderr": 0.1, "tuned_stderr": 0.11}
    monkeypatch.setattr(harness, "run_harness", lambda run, tasks, limit: {tasks[1]: {"acc,none": line}})
    assert run(["evaluate", str(copy), "--lm-eval", "one, two.yaml", "--limit", "4"]) == 0
    shown = capsys.readouterr().out
    for words in ("two.yaml", "acc", "0.250 ± 0.100", "0.750 ± 0.110"):
        assert words in shown
    assert run(["evaluate", str(copy), "--limit", "4"]) == 2
    assert json.loads((copy / "evaluation" / "harness.json").read_text()) == {"two.yaml": {"acc,none": line}}
