"""A merged folder answers like the adapter, or is not there."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from luthier import pipeline
from luthier.errors import ArtefactRefused, ConfigError
from luthier.evaluation.speaker import open_speaker
from luthier.methods.lora import Lora

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_cache")]

TEXTS = ["amber rose", "the board met on Monday", "利好"]


def largest_difference(run, loader, folder):
    speaker = open_speaker(run, dtype="float32")
    merged = loader.from_pretrained(str(folder), local_files_only=True).eval()
    found = 0.0
    with torch.inference_mode():
        for row in speaker.rows(TEXTS):
            ids = torch.tensor([list(row.ids)])
            found = max(found, float((speaker.network(ids).logits - merged(ids).logits).abs().max()))
    return found


def test_plain_transformers_gives_the_same_logits(trained_llama, tmp_path):
    made = pipeline.export(trained_llama, "merged", tmp_path / "merged")
    assert made.folder == tmp_path / "merged"
    assert largest_difference(trained_llama, AutoModelForCausalLM, made.folder) < 1e-4
    assert made.parity.distance <= made.parity.allowed == 1e-4
    assert made.parity.agreement == 1.0
    assert made.parity.rows == 16, "twelve of its own prompts and the generic ones"
    passport = json.loads((made.folder / "luthier.json").read_text())
    assert passport["run"] == trained_llama.path.name
    assert passport["parity"] == made.parity.to_dict()


def test_it_is_not_the_base(trained_llama, tiny_llama, tmp_path):
    pipeline.export(trained_llama, "merged", tmp_path / "merged")
    assert largest_difference(trained_llama, AutoModelForCausalLM, tiny_llama) > 0.1


def test_a_classifier_with_its_head_and_labels(trained_bert, tmp_path):
    made = pipeline.export(trained_bert, "merged", tmp_path / "merged")
    assert largest_difference(trained_bert, AutoModelForSequenceClassification, made.folder) < 1e-4
    config = AutoModelForSequenceClassification.from_pretrained(str(made.folder)).config
    assert config.id2label == {0: "up", 1: "down", 2: "flat"}


def test_the_trained_template_goes_with_it(trained_llama, tmp_path):
    made = pipeline.export(trained_llama, "merged", tmp_path / "merged")
    speaker = open_speaker(trained_llama)
    tokenizer = AutoTokenizer.from_pretrained(str(made.folder))
    [row] = speaker.rows(["amber rose"])
    messages = [{"role": "user", "content": "up, down, flat?\namber rose"}]
    served = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert served == list(row.ids[: row.prompt_length])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_smaller_type_passes_within_its_rounding(trained_llama, tmp_path, dtype):
    made = pipeline.export(trained_llama, "merged", tmp_path / "merged", dtype=dtype)
    assert made.parity.allowed < 0.5, "a bound that bounds something"
    loaded = AutoModelForCausalLM.from_pretrained(str(made.folder), dtype="auto")
    assert loaded.dtype == getattr(torch, dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_wrong_merge_is_refused_and_leaves_nothing(trained_llama, tmp_path, monkeypatch, dtype):
    merge = Lora.merge

    def wrong(self, network):
        merged = merge(self, network)
        with torch.no_grad():
            merged.model.layers[0].mlp.down_proj.weight.mul_(1.5)
        return merged

    monkeypatch.setattr(Lora, "merge", wrong)
    with pytest.raises(ArtefactRefused, match="does not answer like the adapter"):
        pipeline.export(trained_llama, "merged", tmp_path / "out" / "merged", dtype=dtype)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_there_is_not_written_over(trained_llama, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        pipeline.export(trained_llama, "merged", tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


def test_unknown_targets_and_types(trained_llama, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'merged'"):
        pipeline.export(trained_llama, "merge", tmp_path / "x")
    with pytest.raises(ConfigError, match="cannot be written as int3"):
        pipeline.export(trained_llama, "merged", tmp_path / "x", dtype="int3")
