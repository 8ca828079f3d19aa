"""The command line on the tiny models, from configuration to export."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from luthier.cli.frame import run
from luthier.cli.output import console
from luthier.cli.train import show
from luthier.config import load_config
from luthier.config.writing import to_yaml
from luthier.methods.lora import Lora
from luthier.runs import Run, read_events

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_cache")]


@pytest.fixture
def settings(write_config, tmp_path, tiny_llama, labelled_file):
    def write(base=tiny_llama, rows=labelled_file, **parts):
        return str(write_config(tmp_path / "run.yaml", base, rows, **parts))

    return write


@pytest.fixture
def document(capsys):
    """Runs a command with --json, which must print one JSON document and nothing else."""

    def execute(*arguments):
        capsys.readouterr()
        assert run([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return execute


@pytest.fixture
def shown(capsys):
    """Runs a command and returns what a person sees."""

    def execute(*arguments):
        capsys.readouterr()
        assert run([*map(str, arguments)]) == 0
        return capsys.readouterr().out

    return execute


@pytest.fixture
def refused(capsys):
    """Runs a command that fails and returns (exit code, message)."""

    def execute(*arguments):
        capsys.readouterr()
        code = run([*map(str, arguments)])
        message = capsys.readouterr().err
        assert "Traceback" not in message
        assert "a bug in Luthier" not in message
        return code, message

    return execute


QUICK = {"training": {"max_steps": 2}, "evaluation": {"few_shot": 0, "samples": 0, "every": None}}


def test_train_for_people(settings, shown):
    text = shown("train", settings(**QUICK))
    expected = (
        "accuracy",
        "Base, untuned",
        "Commonest label",
        "TF-IDF",
        "report.html",
        "luthier chat",
        "luthier export",
    )
    assert [words for words in expected if words not in text] == []


def test_train_for_people_who_read_chinese(settings, shown):
    text = shown("train", settings(**QUICK), "--set", "language=zh")
    expected = (
        "准确率",
        "基座（未微调）",
        "最常见标签",
        "参与学习的 token",
        "用浏览器打开",
        "接下来可以",
        "luthier chat",
    )
    assert [words for words in expected if words not in text] == []
    assert "Base, untuned" not in text


@pytest.mark.parametrize(
    ("method", "file", "told", "kept_back"),
    [
        ("lora", "adapter_config.json", ("(plain `peft` loads it)", "--to merged"), ("no `luthier export`",)),
        ("prompt", "adapter_config.json", ("(plain `peft` loads it)", "virtual tokens are inputs"), ("--to merged",)),
        ("bottleneck", "bottleneck.json", ("adapter   ", "no `luthier export`"), ("loads it", "--to merged")),
        ("full", "config.json", ("(plain `transformers` loads it)", "--to merged"), ("`peft`",)),
    ],
)
def test_no_more_is_promised_than_a_method_keeps(trained_llama, tmp_path, capsys, method, file, told, kept_back):
    copy = Run(shutil.copytree(trained_llama.path, tmp_path / "copy"))
    (copy.adapter / "adapter_config.json").rename(copy.adapter / file)
    copy.config_file.write_text(to_yaml(load_config(copy.config_file, [f"method={{name: {method}}}"])))
    show(copy, console())
    text = capsys.readouterr().out
    assert [words for words in told if words not in text] == []
    assert [words for words in kept_back if words in text] == []


def test_train_for_machines(settings, document, tmp_path):
    found = document("train", settings(**QUICK), "--set", "training.seed=3")
    assert found["run"].startswith(str(tmp_path / "runs" / "tiny"))
    assert found["record"]["state"] == "finished"
    assert found["record"]["steps"] == 2
    assert found["metrics"]["primary"]["split"] == "test"


def test_evaluating_again_gives_the_same_figures(trained_llama, document, tmp_path):
    copy = shutil.copytree(trained_llama.path, tmp_path / "copy")
    (copy / "report.html").unlink()
    assert document("evaluate", copy) == json.loads(trained_llama.metrics_file.read_text())
    assert "accuracy" in (copy / "report.html").read_text()


def test_report_is_one_page_of_its_own(trained_llama, document, tmp_path):
    copy = shutil.copytree(trained_llama.path, tmp_path / "copy")
    (copy / "report.html").unlink()
    assert document("report", copy) == {"report": str(copy / "report.html")}
    page = (copy / "report.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    assert 'src="http' not in page
    assert "<link" not in page


def test_plan_writes_nothing(settings, document, shown, tmp_path):
    config = settings()
    before = sorted(path.name for path in tmp_path.iterdir())
    plan = document("plan", config)
    assert plan["steps"] > 0
    assert plan["memory_mb"] > 0
    assert plan["seconds"]["all"] > 0
    assert plan["rows"]["train"] > plan["rows"]["test"] > 0
    assert any("training.learning_rate is 0.01" in warning for warning in plan["warnings"])
    text = shown("plan", config)
    assert "warning: training.learning_rate is 0.01" in text
    assert "measured" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_plan_for_another_device_loads_no_weights(settings, document, shown, refused, monkeypatch):
    from luthier.training.session import Materials

    config = settings(model={"dtype": "auto"})
    monkeypatch.setattr(Materials, "load_base", lambda self: pytest.fail("the base was loaded"))
    forecast = document("plan", config, "--on", "rtx4060-8")
    assert forecast["fits"] is True
    assert forecast["measured"] is False
    assert forecast["device"]["memory_gb"] == 8
    assert forecast["dtype"] == "bfloat16"
    assert forecast["memory_mb"]["all"] > forecast["memory_mb"]["framework"]
    text = shown("plan", config, "--on", "t4")
    for words in ("fits", "yes: about", "float16", "estimate: nothing was measured on this device", "data sheet"):
        assert words in text
    code, message = refused("plan", config, "--on", "rtx-4090")
    assert code == 2
    assert "did you mean 'rtx4090'?" in message


def test_race(settings, document, shown, refused, monkeypatch):
    """The table from given turns; the turns themselves are tested where they are run."""
    from luthier.training import race

    seconds = {"luthier": 0.5, "trainer": 1.0}

    def turn(job, folder):
        name = job["contestant"]
        assert job["seconds"] == 2.0
        assert load_config(job["config"]).training.checkpoint.every is None
        return race.Turn(name, [f"as {name}"], [2.0, 1.5], [9.0, seconds[name]], [8, 8], [90, 80], 1.0, 200.0, False)

    monkeypatch.setattr(race, "_turn", turn)
    found = document("race", settings(), "--seconds", "4")
    assert (found["speed_ratio"], found["largest_difference"]) == (2.0, 0.0)
    assert found["luthier"]["rows_per_second"] == 16.0
    assert [at["step"] for at in found["losses"]] == [1, 2]
    text = shown("race", settings(), "--seconds", "4")
    for words in ("rows/s", "16.00", "2.00x", "1.00x", "loss at equal steps", "as trainer", "loading"):
        assert words in text
    code, message = refused("race", settings(method={"name": "full"}))
    assert code == 2
    assert "cannot race" in message


def test_inspect(settings, document, shown):
    config = settings()
    found = document("inspect", config, "--row", "4", "--serve-check")
    assert found["ledger"]["row_id"] == 4
    assert found["serve"]["same"] is True
    assert any(token["supervised"] for token in found["sequences"][0])
    text = shown("inspect", config, "--row", "4", "--serve-check", "--ids")
    assert "token for token what apply_chat_template sends" in text
    assert "<|im_end|>" in text
    different = settings(data={"template": "plain"})
    assert document("inspect", different, "--serve-check")["serve"]["same"] is False
    assert "the prompts differ from token 0 on" in shown("inspect", different, "--serve-check")


def test_predict_texts_and_files(trained_llama, document, tmp_path, monkeypatch):
    plain, lines = tmp_path / "texts.txt", tmp_path / "texts.jsonl"
    plain.write_text("amber rose\n\nbridge fell\n")
    lines.write_text('{"text": "amber rose"}\n{"text": "bridge fell", "other": 1}\n')
    run_folder = trained_llama.path
    expected = document("predict", run_folder, "amber rose", "bridge fell")
    assert [answer["text"] for answer in expected] == ["amber rose", "bridge fell"]
    assert all(answer["answer"] in ("up", "down", "flat") and answer["valid"] for answer in expected)
    assert document("predict", run_folder, "--input", plain) == expected
    assert document("predict", run_folder, "--input", lines) == expected
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(plain.read_bytes())))
    assert document("predict", run_folder, "--input", "-") == expected
    document("predict", run_folder, "--input", plain, "--output", tmp_path / "answers.jsonl")
    written = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert written == expected


def test_predict_in_its_own_words_and_by_the_base(trained_llama, document, shown):
    [answer] = document("predict", trained_llama.path, "amber rose", "--mode", "generate")
    assert answer["scores"] == {}
    [base] = document("predict", trained_llama.path, "amber rose", "--base")
    [tuned] = document("predict", trained_llama.path, "amber rose")
    assert base["scores"] != tuned["scores"]
    assert "probability" in shown("predict", trained_llama.path, "amber rose")


def test_the_newest_run_of_a_name_is_taken(trained_llama, document):
    by_name = document("predict", trained_llama.path.parent, "amber rose")
    assert by_name == document("predict", trained_llama.path, "amber rose")


def test_chat_through_a_pipe(trained_llama, shown, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("amber rose\nbridge fell\n"))
    text = shown("chat", trained_llama.path, "--base")
    assert text.count("base") == text.count("tuned") == 2


def test_chat_as_json_lines_up_with_predict(trained_llama, trained_bert, document, monkeypatch):
    for trained, mode in ((trained_llama, ["--mode", "generate"]), (trained_bert, [])):
        monkeypatch.setattr("sys.stdin", io.StringIO("amber rose\n\nnever read\n"))
        found = document("chat", trained.path)
        [answer] = document("predict", trained.path, "amber rose", *mode)
        assert found == {"text": "amber rose", "tuned": answer["raw"]}


def test_export(trained_llama, document, refused, tmp_path):
    output = tmp_path / "merged"
    made = document("export", trained_llama.path, "--to", "merged", "--output", output, "--dtype", "bfloat16")
    assert (made["folder"], made["dtype"]) == (str(output), "bfloat16")
    assert made["parity"]["distance"] <= made["parity"]["allowed"]
    code, message = refused("export", trained_llama.path, "--output", output)
    assert code == 2
    assert "exists already" in message


def test_a_wrong_export_is_6(trained_llama, refused, tmp_path, monkeypatch):
    merge = Lora.merge

    def wrong(self, network):
        merged = merge(self, network)
        with torch.no_grad():
            merged.model.layers[1].self_attn.v_proj.weight.mul_(1.5)
        return merged

    monkeypatch.setattr(Lora, "merge", wrong)
    code, message = refused("export", trained_llama.path, "--output", tmp_path / "merged")
    assert code == 6
    assert "does not answer like the adapter" in message
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage_is_2(settings, refused, tmp_path, trained_llama):
    assert refused("train", tmp_path / "nowhere.yaml")[0] == 2
    code, message = refused("train", settings(), "--set", "training.epoch=1", "--set", "method.rank=no")
    assert code == 2
    assert "did you mean 'epochs'?" in message
    assert "method.rank" in message, "all errors together"
    assert refused("train")[0] == 2
    assert refused("evaluate", tmp_path)[0] == 2
    code, message = refused("evaluate", trained_llama.path, "--split", "tset")
    assert code == 2
    assert "'tset' is not one of" in message
    assert refused("predict", trained_llama.path)[0] == 2
    assert refused("predict", trained_llama.path, "--input", tmp_path / "nowhere.txt")[0] == 2
    assert refused("predict", trained_llama.path, "x", "--mode", "head")[0] == 2
    assert not (tmp_path / "runs").exists()


def test_data_that_cannot_be_used_is_3(settings, refused, tmp_path):
    assert refused("train", settings(rows=tmp_path / "nowhere.jsonl"))[0] == 3
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"text": "amber", "label": "up"}\n{"text": "bri\n' * 5)
    code, message = refused("train", settings(rows=broken))
    assert code == 3
    assert "broken.jsonl:2" in message
    assert refused("inspect", settings(), "--row", "99")[0] == 3
    assert not (tmp_path / "runs").exists()


def test_a_missing_model_is_4(settings, refused, tmp_path):
    code, message = refused("train", settings(base=tmp_path / "no-model"))
    assert code == 4
    assert "no-model" in message
    assert not (tmp_path / "runs").exists()


def test_a_loss_that_is_not_finite_is_5(settings, refused, tmp_path):
    config = settings(training={"learning_rate": 1e30, "max_grad_norm": None})
    code, message = refused("train", config)
    assert code == 5
    assert "of step " in message
    [folder] = (tmp_path / "runs" / "tiny").iterdir()
    assert json.loads((folder / "run.json").read_text())["state"] == "failed"
    assert not (folder / "adapter").exists()


def test_ctrl_c_is_130_and_the_run_goes_on(settings, document, tmp_path):
    """A process of its own, so that the signal is a real one."""
    config = settings(
        method={"name": "lora", "rank": 4, "dropout": 0.1},
        training={"epochs": 12},
        evaluation={"few_shot": 0, "samples": 0, "every": None},
    )
    command = [sys.executable, "-c", "from luthier.cli import main; main()", "train", config]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    events = tmp_path / "runs" / "tiny"
    deadline = time.monotonic() + 120
    while not any(sum(1 for _ in read_events(file, "step")) >= 3 for file in events.glob("*/events.jsonl")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "everything so far is saved" in message
    assert "luthier train --resume" in message
    assert "Traceback" not in message
    [folder] = events.iterdir()
    record = json.loads((folder / "run.json").read_text())
    assert record["state"] == "interrupted"
    done = [event["step"] for event in read_events(folder / "events.jsonl", "step")]
    assert 3 <= len(done) < record["steps"]
    assert (folder / "checkpoints" / f"step-{done[-1]:06d}").is_dir()

    found = document("train", "--resume", folder)
    assert found["record"]["state"] == "finished"
    steps = [event["step"] for event in read_events(folder / "events.jsonl", "step")]
    assert steps == list(range(1, record["steps"] + 1))
