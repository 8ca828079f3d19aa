"""Whole runs on the tiny models, by the Python API."""

import errno
import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

import luthier
from luthier import pipeline
from luthier.data.ledger import read_ledger
from luthier.errors import ConfigError, DataError, Interrupted, TrainingError
from luthier.evaluation.results import primary
from luthier.evaluation.speaker import open_speaker
from luthier.evaluation.verdict import verdict
from luthier.methods.lora import Lora
from luthier.runs import read_events
from luthier.tasks.causal_lm import CausalLm

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_cache")]

STRANGER = Path(__file__).parent / "stranger.py"
"""A script that knows `peft` and `transformers` and nothing of Luthier."""


def read(path):
    return json.loads(path.read_text())


def predictions(run):
    return [json.loads(line) for line in run.predictions_file.read_text().splitlines()]


@pytest.fixture
def settings(write_config, tmp_path, tiny_llama, labelled_file):
    def write(base=tiny_llama, **parts):
        return write_config(tmp_path / "run.yaml", base, labelled_file, **parts)

    return write


@pytest.fixture
def copied(trained_llama, tmp_path):
    return pipeline.TrainedRun(shutil.copytree(trained_llama.path, tmp_path / "copy"))


# what a run leaves behind


def test_everything_stands_in_the_folder(trained_llama, labelled_file):
    run = trained_llama
    assert run.record["state"] == "finished"
    assert run.record["seconds"] > 0
    assert run.record["peak_memory_mb"] > 100
    for path in (run.config_file, run.ledger_file, run.metrics_file, run.predictions_file, run.report):
        assert path.stat().st_size > 0
    assert {path.name for path in run.adapter.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "luthier.json",
    }
    raw = [entry for entry in read_ledger(run.ledger_file) if entry.origin == "raw"]
    assert len(raw) == len(labelled_file.read_text().splitlines()) == 60
    assert read(run.adapter / "luthier.json")["data"] == run.record["data"]
    assert [e["state"] for e in read_events(run.events.path, "state")] == ["running", "finished"]


def test_the_resolved_configuration_repeats_the_run(trained_llama, tmp_path):
    text = trained_llama.config_file.read_text()
    again = tmp_path / "again.yaml"
    again.write_text(text)
    run = pipeline.train(again, [f"output={tmp_path / 'runs'}"])
    files = [r.adapter / "adapter_model.safetensors" for r in (trained_llama, run)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert read(run.metrics_file) == read(trained_llama.metrics_file)


def test_scores_of_everybody(trained_llama):
    metrics = read(trained_llama.metrics_file)
    assert metrics["primary"] == {"split": "test", "mode": "labels", "metric": "accuracy"}
    for mode in ("labels", "generate"):
        comparison = metrics["results"]["test"][mode]
        assert set(comparison["baselines"]) == {"few_shot", "majority", "tfidf"}
        for scores in (comparison["base"], comparison["tuned"], *comparison["baselines"].values()):
            assert 0 <= scores["accuracy"]["low"] <= scores["accuracy"]["value"] <= scores["accuracy"]["high"] <= 1
            assert "invalid" in scores
        assert "p" in comparison["difference"]["accuracy"]
    decisive = primary(metrics)
    assert decisive["tuned"]["loss"]["value"] < decisive["base"]["loss"]["value"] / 2, "it learned"
    assert decisive["rows"] == trained_llama.record["data"]["rows"]["test"]


def test_general_text_speed_and_calibration_are_measured(trained_llama, trained_bert):
    metrics = read(trained_llama.metrics_file)
    general = metrics["forgetting"]
    assert (general["rows"], general["left_out"]) == (2, 0)
    assert general["tuned"]["perplexity"] != general["base"]["perplexity"]
    assert "On general text" in verdict(metrics)
    assert 0 <= primary(metrics)["tuned"]["ece"]["value"] <= 1
    assert trained_llama.record["speed"]["first_token_ms"] > 0
    written = [line["written"] for line in predictions(trained_llama) if line["model"] == "tuned"]
    assert trained_llama.record["asking"]["tuned"]["generate"]["tokens"] == sum(written) > 0
    assert "forgetting" not in read(trained_bert.metrics_file)
    assert trained_bert.record["speed"] is None


def test_every_answer_of_every_model_is_kept(trained_llama):
    rows = trained_llama.record["data"]["rows"]["test"]
    counts = Counter((line["model"], line["mode"]) for line in predictions(trained_llama))
    models = [(model, mode) for model in ("base", "few_shot", "tuned") for mode in ("labels", "generate")]
    assert counts == dict.fromkeys([*models, ("majority", "labels"), ("tfidf", "labels")], rows)
    accuracy = [
        line["parsed"] == line["expected"]
        for line in predictions(trained_llama)
        if (line["model"], line["mode"]) == ("tuned", "labels")
    ]
    decisive = primary(read(trained_llama.metrics_file))
    assert decisive["tuned"]["accuracy"]["value"] == pytest.approx(sum(accuracy) / rows)


def test_a_new_head_has_no_base_to_compare_with(trained_bert):
    metrics = read(trained_bert.metrics_file)
    comparison = primary(metrics)
    assert metrics["primary"]["mode"] == "head"
    assert comparison["base"] is None
    assert comparison["difference"] is None
    assert set(comparison["baselines"]) == {"majority", "tfidf"}
    assert {line["model"] for line in predictions(trained_bert)} == {"tuned", "majority", "tfidf"}


# plain libraries in another process


def ask_stranger(run, texts):
    """What a process without Luthier makes of the adapter: logits, base's logits, and its own answers."""
    speaker = open_speaker(run)
    rows = speaker.rows(texts)
    head = speaker.task.head
    question = {
        "adapter": str(run.adapter),
        "head": head,
        "labels": list(speaker.renderer.labels),
        "prompts": [list(row.ids[: row.prompt_length]) for row in rows],
        "answers": [speaker.renderer.answer_ids(label) for label in speaker.renderer.labels]
        if head == "causal_lm"
        else [],
    }
    done = subprocess.run(
        [sys.executable, str(STRANGER)], input=json.dumps(question), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not found["luthier"], "the other process did not load Luthier"
    with torch.inference_mode():
        ours = [speaker.network(torch.tensor([list(row.ids[: row.prompt_length])])).logits[0] for row in rows]
    return found, [logits[-1] if logits.dim() == 2 else logits for logits in ours]


def check_stranger(run):
    asked = [line for line in predictions(run) if line["model"] == "tuned" and line["mode"] in ("labels", "head")]
    found, ours = ask_stranger(run, [line["prompt"] for line in asked])
    for theirs, logits in zip(found["tuned"], ours, strict=True):
        torch.testing.assert_close(torch.tensor(theirs), logits, atol=1e-5, rtol=0)
    right = [answer == line["expected"] for answer, line in zip(found["answers"], asked, strict=True)]
    assert primary(read(run.metrics_file))["tuned"]["accuracy"]["value"] == pytest.approx(sum(right) / len(right))
    return found


def test_plain_libraries_answer_the_same(trained_llama):
    found = check_stranger(trained_llama)
    difference = (torch.tensor(found["tuned"]) - torch.tensor(found["base"])).abs().max()
    assert float(difference) > 0.1


@pytest.mark.real
def test_plain_libraries_answer_the_same_on_the_real_minilm(minilm, shared_data, tmp_path, write_config):
    data = {"limit": 400, "labels": ["negative", "neutral", "positive"], "instruction": None}
    config = write_config(
        tmp_path / "run.yaml",
        minilm,
        shared_data / "financial_phrasebank" / "Sentences_AllAgree.txt",
        task="sequence_classification",
        data=data,
        training={"epochs": 1, "max_steps": 20, "batch_size": 16, "learning_rate": 1e-3},
        evaluation={"every": None},
    )
    run = pipeline.train(config)
    check_stranger(run)
    assert primary(read(run.metrics_file))["rows"] > 100


# the verbs


def test_the_api_of_a_run(copied, tmp_path):
    before = read(copied.metrics_file)
    copied.predictions_file.unlink()
    assert json.loads(json.dumps(copied.evaluate())) == before
    assert read(copied.metrics_file) == before
    assert copied.predictions_file.exists()
    [answer] = copied.predict(["amber rose"])
    assert answer == luthier.predict(copied.path, ["amber rose"])[0]
    assert copied.export("merged", tmp_path / "merged").folder.is_dir()


def test_another_split_can_be_asked_about(copied):
    found = copied.evaluate(split="validation")
    assert found["primary"]["split"] == "validation"
    assert primary(found)["rows"] == copied.record["data"]["rows"]["validation"]


def test_a_split_that_there_is_not(trained_llama):
    with pytest.raises(ConfigError, match="there is no split 'tset'"):
        trained_llama.evaluate(split="tset")


@pytest.mark.parametrize("resume", [None, "somewhere"])
def test_train_takes_one_thing(settings, resume):
    config = settings() if resume else None
    with pytest.raises(ConfigError, match="a configuration, or a run to resume"):
        pipeline.train(config, resume=resume)


def test_a_resumed_run_takes_no_overrides(trained_llama):
    with pytest.raises(ConfigError, match="overrides change a new run") as refused:
        pipeline.train(None, ["training.learning_rate=1e-5"], resume=trained_llama.path)
    assert refused.value.hint == f"luthier train {trained_llama.config_file} --set training.learning_rate=1e-5"


def test_problems_show_before_a_folder_is_made(settings, tmp_path):
    with pytest.raises(DataError):
        pipeline.train(settings(data={"labels": ["other"], "tolerance": 0.0}))
    assert not (tmp_path / "runs").exists()


def test_interrupted_and_resumed(settings, tmp_path):
    """Every stage of a run can be interrupted; what was done is not done again."""
    method = {"name": "lora", "rank": 4, "dropout": 0.1}
    config = settings(method=method, training={"max_steps": 6}, evaluation={"few_shot": 0, "samples": 0})
    whole = pipeline.train(config)

    def at(step, kind="step"):
        def listen(event):
            if (event["kind"], event["step"]) == (kind, step):
                signal.raise_signal(signal.SIGINT)

        return listen

    with pytest.raises(Interrupted):
        pipeline.train(config, listeners=[at(3)])
    [run] = [r for r in (tmp_path / "runs" / "tiny").iterdir() if r != whole.path]
    assert read(run / "run.json")["state"] == "interrupted"

    def evaluating(phase, done, total):
        if phase.startswith("tuned"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.train(resume=run, progress=evaluating)
    assert read(run / "run.json")["state"] == "interrupted"
    resumed = pipeline.train(resume=run)
    assert resumed.record["state"] == "finished"
    files = [r.adapter / "adapter_model.safetensors" for r in (whole, resumed)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert read(whole.metrics_file) == read(resumed.metrics_file)
    assert [event["step"] for event in read_events(resumed.events.path, "step")] == [1, 2, 3, 4, 5, 6]


@pytest.fixture
def mended(settings, tmp_path, labelled_file):
    """A configuration of a file of its own, and what appends rows to that file."""
    rows = tmp_path / "rows.jsonl"
    shutil.copyfile(labelled_file, rows)

    def mend():
        more = [{"text": f"candle {number} rose", "label": "up"} for number in range(40)]
        rows.write_text(labelled_file.read_text() + "".join(json.dumps(row) + "\n" for row in more))

    parts = {"training": {"max_steps": 4}, "evaluation": {"few_shot": 0, "samples": 0, "forgetting": None}}
    return settings(data={"train": str(rows)}, **parts), mend


def test_a_run_goes_on_with_its_own_rows_or_not_at_all(mended, tmp_path, labelled_file):
    config, mend = mended

    def stop(event):
        if (event["kind"], event["step"]) == ("step", 2):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        pipeline.train(config, listeners=[stop])
    [run] = (tmp_path / "runs" / "tiny").iterdir()
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    mend()
    with pytest.raises(ConfigError, match="the rows") as refused:
        pipeline.train(resume=run)
    assert str(run / "config.yaml") in refused.value.hint
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
    shutil.copyfile(labelled_file, tmp_path / "rows.jsonl")
    assert pipeline.train(resume=run).record["state"] == "finished"


def test_a_run_is_scored_on_its_own_rows_or_not_at_all(mended, tmp_path, monkeypatch):
    config, mend = mended
    run = pipeline.train(config)
    metrics = read(run.metrics_file)
    mend()
    assert json.loads(json.dumps(run.evaluate())) == metrics
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "emptied"))
    with pytest.raises(ConfigError, match="the rows"):
        run.evaluate()


def test_a_failure_is_on_record(settings, tmp_path, monkeypatch):
    loss = CausalLm.loss
    monkeypatch.setattr(CausalLm, "loss", lambda *arguments: loss(*arguments) * float("nan"))
    with pytest.raises(TrainingError):
        pipeline.train(settings())
    [run] = (tmp_path / "runs" / "tiny").iterdir()
    assert read(run / "run.json")["state"] == "failed"
    *_, last = read_events(run / "events.jsonl", "state")
    assert "the loss of step 1 is nan" in last["message"]
    assert not (run / "adapter").exists()


def test_on_a_full_disk_the_first_error_is_told(settings, tmp_path, monkeypatch):
    from safetensors import SafetensorError

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def refuse(*_):
        monkeypatch.setattr("luthier.runs.folder.write_json", full)
        raise SafetensorError(f"I/O error: No space left on device (os error {errno.ENOSPC})")

    monkeypatch.setattr(Lora, "save", refuse)
    with pytest.raises(TrainingError, match=r"the adapter cannot be written: .*No space left") as told:
        pipeline.train(settings(training={"max_steps": 1}, evaluation={"samples": 0, "every": None}))
    [run] = (tmp_path / "runs" / "tiny").iterdir()
    assert told.value.hint == f"make room, then luthier train --resume {run}"


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_full_tuning_with_frozen_parts(request, settings, tmp_path, name):
    from safetensors.torch import load_file

    base = request.getfixturevalue(f"tiny_{name}")
    task = {"llama": "causal_lm", "bert": "sequence_classification"}[name]
    method = {"name": "full", "freeze": {"embeddings": True, "layers": "0"}}
    training = {"max_steps": 4, "learning_rate": 1e-3}
    evaluation = {"few_shot": 0, "every": None}
    run = pipeline.train(settings(base, task=task, method=method, training=training, evaluation=evaluation))
    before, after = load_file(base / "model.safetensors"), load_file(run.adapter / "model.safetensors")
    kept = {key: before.get(key.removeprefix("bert.")) for key in after}
    changed = {key for key, old in kept.items() if old is not None and not old.equal(after[key])}
    assert any("layers.1." in key or "layer.1." in key for key in changed)
    frozen = ("embeddings.weight", "embed_tokens", "layers.0.", "layer.0.")
    assert not [key for key in changed if any(part in key for part in frozen)]
    assert 0 < run.record["trainable"] < run.record["parameters"]
    made = pipeline.export(run, "merged", tmp_path / "merged")
    assert made.parity.distance < 1e-6


def test_prepared_once(settings, monkeypatch):
    config = settings(data={"limit": 31})
    one = pipeline.prepare(config)
    monkeypatch.setattr("luthier.data.prepare._write", lambda *_: pytest.fail("prepared again"))
    assert pipeline.prepare(config).digest == one.digest


def test_without_held_out_rows_there_is_nothing_to_evaluate(settings):
    with pytest.raises(DataError, match="no rows to evaluate on"):
        pipeline.train(settings(data={"split": {"test": 0, "validation": 0}}, training={"max_steps": 1}))
