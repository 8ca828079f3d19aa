"""Finished runs that answer new texts."""

import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM

from luthier.config import load_config
from luthier.config.writing import to_yaml
from luthier.errors import ConfigError, DataError
from luthier.evaluation.speaker import open_speaker
from luthier.runs import Run

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_cache")]


def predictions(run, model, mode):
    lines = [json.loads(line) for line in run.predictions_file.read_text().splitlines()]
    return {line["prompt"]: line["parsed"] for line in lines if (line["model"], line["mode"]) == (model, mode)}


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("mode", ["labels", "generate"])
def test_answers_are_those_of_the_evaluation(trained_llama, base, mode):
    expected = predictions(trained_llama, "base" if base else "tuned", mode)
    found = open_speaker(trained_llama, base=base).predict(list(expected), mode=mode)
    assert {p.text: p.parsed for p in found} == expected
    assert all(p.expected is None and p.loss is None for p in found)


def test_a_classifier_answers_as_in_its_evaluation(trained_bert):
    expected = predictions(trained_bert, "tuned", "head")
    found = open_speaker(trained_bert).predict(list(expected))
    assert {p.text: p.parsed for p in found} == expected


def test_ways_of_asking(trained_llama, trained_bert):
    speaker = open_speaker(trained_llama)
    assert speaker.predict(["amber rose"])[0].scores.keys() == {"up", "down", "flat"}
    with pytest.raises(ConfigError, match="cannot be asked by 'head'") as refused:
        speaker.predict(["amber rose"], mode="head")
    assert refused.value.expected == "one of labels, generate"
    with pytest.raises(ConfigError, match="cannot be asked by 'generate'"):
        open_speaker(trained_bert).predict(["amber rose"], mode="generate")


def test_a_text_that_is_too_long_is_named(trained_llama):
    with pytest.raises(DataError, match="too long") as refused:
        open_speaker(trained_llama).predict(["fine", "amber " * 600])
    assert refused.value.where == "input 2"


def test_the_data_is_not_needed(trained_llama, tmp_path, monkeypatch):
    copy = Run(shutil.copytree(trained_llama.path, tmp_path / "copy"))
    text = copy.config_file.read_text().replace("news.jsonl", "gone.jsonl")
    copy.config_file.write_text(text)
    assert open_speaker(copy).predict(["amber rose"])[0].parsed in ("up", "down", "flat")


def test_an_adapter_does_not_speak_on_another_base(trained_llama, tiny_llama, tmp_path):
    from safetensors.torch import load_file, save_file

    base, copy = (shutil.copytree(path, tmp_path / path.name) for path in (tiny_llama, trained_llama.path))
    config = copy / "config.yaml"
    config.write_text(config.read_text().replace(str(tiny_llama), str(base)))
    assert open_speaker(Run(copy))
    weights = load_file(base / "model.safetensors")
    save_file({name: 2 * weight for name, weight in weights.items()}, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfigError) as refused:
        open_speaker(Run(copy))
    assert refused.value.found.endswith("begun with: the weights of the base")


@pytest.mark.parametrize("base", [False, True])
def test_a_model_tuned_in_full_answers_in_float32(base, trained_llama, tiny_llama, tmp_path):
    copy = Run(shutil.copytree(trained_llama.path, tmp_path / "copy", ignore=shutil.ignore_patterns("adapter")))
    shutil.copytree(tiny_llama, copy.adapter)
    changed = load_config(copy.config_file, ["method={name: full}", "model.dtype=bfloat16"])
    copy.config_file.write_text(to_yaml(changed))
    speaker = open_speaker(copy, base=base)
    saved = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32).state_dict()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in speaker.network.state_dict().items())


def test_a_run_without_a_model_says_how_to_go_on(trained_llama, tmp_path):
    copy = Run(shutil.copytree(trained_llama.path, tmp_path / "copy"))
    shutil.rmtree(copy.adapter)
    with pytest.raises(ConfigError, match="no trained model yet") as refused:
        open_speaker(copy)
    assert refused.value.hint == f"luthier train --resume {copy.path}"
