"""Jobs as LLaMA-Factory's users write them, in Luthier's keys."""

import json
import re

import pytest
from ruamel.yaml import YAML

from luthier.config import parse_config
from luthier.errors import ConfigError
from luthier.importing import import_file

COMMON = {
    "model_name_or_path": "some/Model-4B",
    "trust_remote_code": True,
    "do_train": True,
    "finetuning_type": "lora",
    "lora_rank": 8,
    "lora_target": "all",
    "template": "llama3",
    "cutoff_len": 2048,
    "output_dir": "saves/model-4b/lora/sft",
    "logging_steps": 10,
    "save_steps": 500,
    "plot_loss": True,
    "overwrite_output_dir": True,
    "report_to": "none",
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 8,
    "learning_rate": 1e-4,
    "num_train_epochs": 3.0,
    "lr_scheduler_type": "cosine",
    "warmup_ratio": 0.1,
    "bf16": True,
    "ddp_timeout": 180000000,
    "resume_from_checkpoint": None,
}
SETS = {
    "questions": {"file_name": "questions.json"},
    "named": {"file_name": "named.jsonl", "columns": {"prompt": "ask", "query": "about", "response": "say"}},
    "chats": {"file_name": "chats.json", "formatting": "sharegpt", "columns": {"messages": "turns", "tools": "tools"}},
    "openai": {
        "file_name": "openai.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
    },
    "pairs": {
        "file_name": "pairs.json",
        "ranking": True,
        "columns": {"prompt": "instruction", "query": "input", "chosen": "good", "rejected": "bad"},
    },
    "talks": {
        "file_name": "talks.json",
        "ranking": True,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
    },
    "web": {"file_name": "web.jsonl", "columns": {"prompt": "content"}},
    "hub": {"hf_hub_url": "someone/rows", "subset": "small", "split": "extra"},
    "part": {"hf_hub_url": "someone/rows", "split": "train[:10%]", "folder": "here", "num_samples": 5},
    "slice": {"file_name": "questions.json", "split": "train[:10%]"},
    "script": {"script_url": "rows.py"},
    "scope": {"ms_hub_url": "someone/rows"},
    "bots": {
        "file_name": "bots.json",
        "formatting": "sharegpt",
        "columns": {"messages": "turns", "images": "pictures"},
        "tags": {"assistant_tag": "bot", "content_tag": "text"},
    },
    "systems": {"file_name": "s.json", "formatting": "openai", "columns": {"messages": "turns", "system": "rules"}},
    "called": {"file_name": "c.json", "columns": {"prompt": "ask", "tools": "functions"}},
}


def squeezed(text):
    """Without what breaks lines of comments apart."""
    return re.sub(r"[\s#]", "", text)


@pytest.fixture
def imported(tmp_path):
    """Writes a job and translates it; what Luthier reads back is what was meant."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps(SETS))
    folder = tmp_path / "examples" / "train_lora"
    folder.mkdir(parents=True)

    def read(**settings):
        file = folder / "job.yaml"
        with file.open("w") as stream:
            YAML().dump({key: value for key, value in (COMMON | settings).items() if value != "left out"}, stream)
        found = import_file(file)
        assert parse_config(found.yaml) == found.config
        for setting in found.settings:
            assert setting.fate != "differs" or squeezed(setting.note) in squeezed(found.yaml)
        assert {setting.key for setting in found.settings} >= set(COMMON | settings) - {
            key for key, value in settings.items() if value == "left out"
        }
        return found

    return read


def fates(found, fate):
    return {setting.key for setting in found.settings if setting.fate == fate}


def test_supervised(imported, tmp_path):
    found = imported(stage="sft", dataset="questions,named", max_samples=1000, val_size=0.1, eval_steps=500)
    config = found.config
    assert found.tool == "LLaMA-Factory"
    assert (config.name, config.model.base, config.model.trust_remote_code) == (
        "model-4b-lora-sft",
        "some/Model-4B",
        True,
    )
    assert (config.task.name, config.model.dtype, config.model.quantise) == ("causal_lm", "bfloat16", "none")
    first, second = config.data.train
    assert (first.path, first.format, first.columns) == (str(tmp_path / "data" / "questions.json"), "alpaca", {})
    assert second.columns == {"instruction": "ask", "input": "about", "output": "say"}
    assert (config.data.max_length, config.data.too_long, config.data.template) == (2048, "truncate", "chat")
    assert (config.data.split.validation, config.data.split.test, config.data.clean) == (0.1, 0.0, [])
    method = config.method
    assert (method.name, method.rank, method.alpha, method.dropout, method.targets) == ("lora", 8, 16, 0, "all-linear")
    training = config.training
    assert (training.batch_size, training.learning_rate, training.epochs) == (8, 1e-4, 3)
    assert (training.schedule.name, training.schedule.warmup, training.seed) == ("cosine", 0.1, 42)
    assert (training.checkpoint.every, config.evaluation.every) == (500, 500)
    assert config.data.limit == 2000
    assert fates(found, "differs") == {"template", "max_samples"}
    assert fates(found, "unknown") == set()


def test_conversations(imported):
    config = imported(dataset=["chats", "openai"], default_system="Be brief.").config
    chats, openai = config.data.train
    assert (chats.format, chats.columns) == ("sharegpt", {"conversations": "turns"})
    assert (openai.format, openai.columns) == ("messages", {})
    assert config.data.system == "Be brief."


def test_pretraining(imported):
    found = imported(stage="pt", dataset="web", template="left out")
    [source] = found.config.data.train
    assert (source.format, source.columns) == ("text", {"text": "content"})
    assert (found.config.data.pack, found.config.data.too_long) == (True, "split")
    assert found.config.data.split.test == 0.1, "something is held out to score on"
    assert "val_size" in fates(found, "differs")


def test_preferences(imported):
    found = imported(stage="dpo", dataset="pairs,talks", pref_beta=0.2, pref_loss="sigmoid", learning_rate=5e-6)
    config = found.config
    assert (config.task.name, config.task.beta, config.task.loss) == ("preference", 0.2, "sigmoid")
    pairs, talks = config.data.train
    assert (pairs.format, pairs.columns) == (
        "preference",
        {"prompt": "instruction", "chosen": "good", "rejected": "bad"},
    )
    assert talks.columns == {"prompt": "conversations"}
    assert config.evaluation.modes is None


def test_four_bits(imported):
    found = imported(dataset="questions", quantization_bit=4, quantization_method="bnb", double_quantization=True)
    assert found.config.model.quantise == "nf4"
    assert imported(dataset="questions", quantization_bit=8).config.model.quantise == "int8"
    odd = imported(dataset="questions", quantization_bit=3, quantization_method="hqq")
    assert odd.config.model.quantise == "none"
    assert {"quantization_bit", "quantization_method"} <= fates(odd, "none")


def test_full_tuning(imported):
    found = imported(dataset="questions", finetuning_type="full", deepspeed="ds_z3.json", learning_rate=1e-5)
    assert found.config.method.name == "full"
    assert {"deepspeed"} <= fates(found, "none")


def test_variants_of_lora(imported):
    found = imported(
        dataset="questions",
        lora_target="q_proj, v_proj",
        lora_alpha=64,
        lora_dropout=0.1,
        additional_target="embed_tokens",
        use_dora=True,
        use_rslora=True,
        loraplus_lr_ratio=16.0,
        pissa_init=True,
    )
    method = found.config.method
    assert (method.targets, method.alpha, method.dropout) == (["q_proj", "v_proj"], 64, 0.1)
    assert (method.modules_to_save, method.dora, method.rslora) == (["embed_tokens"], True, True)
    assert (method.plus_ratio, method.init) == (16, "pissa_fast")


def test_prediction_only(imported):
    found = imported(
        do_train="left out",
        do_predict=True,
        eval_dataset="questions",
        adapter_name_or_path="saves/lora",
        predict_with_generate=True,
        max_new_tokens=32,
        temperature=0.95,
    )
    assert found.config.data.train[0].path.endswith("questions.json")
    assert found.config.evaluation.modes == ["likelihood", "generate"]
    assert found.config.evaluation.generate.max_new_tokens == 32
    assert {"do_predict", "adapter_name_or_path", "temperature"} <= fates(found, "none")


def test_what_it_does_not_know_is_listed(imported):
    found = imported(dataset="questions", made_up_key=3, flash_attn="fa2", neat_packing=True, template="qwen3_nothink")
    assert fates(found, "unknown") == {"made_up_key"}
    assert "flash_attn" in fates(found, "nothing")
    assert "neat_packing" in fates(found, "none")


def test_defaults_that_matter_are_written(imported):
    away = ("lora_rank", "num_train_epochs", "learning_rate", "lr_scheduler_type", "warmup_ratio", "cutoff_len")
    found = imported(dataset="questions", per_device_train_batch_size="left out", **dict.fromkeys(away, "left out"))
    training = found.config.training
    assert (training.epochs, training.learning_rate, training.batch_size) == (3, 5e-5, 64)
    assert (training.schedule.name, training.schedule.warmup) == ("linear", 0)
    rank = next(setting for setting in found.settings if setting.key == "lora_rank")
    assert (rank.value, rank.ours) == ("(default)", "method.rank: 8")


def test_data_sets_of_the_hub(imported):
    found = imported(dataset="hub")
    [source] = found.config.data.train
    assert (source.path, source.subset, source.split) == ("hub:someone/rows", "small", "extra")
    assert "dataset" in fates(found, "same")
    [source] = imported(dataset="someone/others", dataset_dir="ONLINE").config.data.train
    assert (source.path, source.format) == ("hub:someone/others", "alpaca")


def test_a_catalogue_that_cannot_be_read(imported, tmp_path):
    for text, message in (("{", "not valid JSON"), ('{"questions": "questions.json"}', "what the data sets are")):
        (tmp_path / "data" / "dataset_info.json").write_text(text)
        with pytest.raises(ConfigError, match=message):
            imported(dataset="questions")


@pytest.mark.parametrize(
    ("name", "path", "note"),
    [
        ("absent", "absent.json", "not in dataset_info"),
        ("part", "hub:someone/rows", "split 'train[:10%]' has no equivalent: the whole split train is read"),
        ("part", "hub:someone/rows", "folder 'here' has no equivalent: all files are read; num_samples 5 has no"),
        ("slice", "questions.json", "split 'train[:10%]' has no equivalent: every row is read"),
        ("script", "rows.py", "a script writes its rows"),
        ("scope", "someone/rows", "a data set of ModelScope"),
        ("bots", "bots.json", "columns that are left out: images; turns have text, bot, which is not known here"),
        ("systems", "s.json", "columns that are left out: system"),
        ("called", "c.json", "columns that are left out: tools"),
    ],
)
def test_what_a_data_set_says_is_taken_or_named(imported, name, path, note):
    found = imported(dataset=name)
    assert found.config.data.train[0].path.endswith(path)
    line = next(setting for setting in found.settings if setting.key == "dataset")
    assert line.fate == "differs"
    assert note in line.note


def test_muon(imported):
    found = imported(dataset="questions", use_muon=True, optim="adamw_torch", adam_beta2=0.95)
    optimizer = found.config.training.optimizer
    assert (optimizer.name, optimizer.beta1, optimizer.beta2) == ("muon", 0.9, 0.95)
    assert "use_muon" in fates(found, "same")
    assert "optim" in fates(found, "nothing")
    assert imported(dataset="questions", use_muon=False).config.training.optimizer.name == "adamw"


def test_a_fall_that_the_file_does_not_name(imported):
    schedule = imported(dataset="questions", lr_scheduler_type="warmup_stable_decay").config.training.schedule
    assert (schedule.name, schedule.warmup, schedule.decay, schedule.shape) == ("wsd", 0.1, 0.6, "cosine")
    found = imported(dataset="questions", lr_scheduler_type="warmup_stable_decay", warmup_steps=10)
    assert found.config.training.schedule.decay == pytest.approx(2 / 3, abs=1e-3)
    assert "lr_scheduler_type" in fates(found, "differs")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stage": "ppo", "dataset": "pairs"}, "does not do stage 'ppo'"),
        ({"stage": "dpo", "pref_loss": "orpo", "dataset": "pairs"}, "the preference loss 'orpo'"),
        ({"finetuning_type": "oft", "dataset": "questions"}, "finetuning_type 'oft'"),
        ({}, "it names no data set"),
    ],
)
def test_jobs_that_are_not_done_here(imported, settings, message):
    with pytest.raises(ConfigError, match=message):
        imported(**settings)


def test_values_that_do_not_go_together(imported):
    message = r"pref_loss, dpo_label_smoothing in .*job\.yaml: task: label_smoothing belongs to loss: sigmoid"
    with pytest.raises(ConfigError, match=message):
        imported(stage="dpo", pref_loss="ipo", dpo_label_smoothing=0.1, dataset="pairs")
