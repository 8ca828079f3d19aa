"""Jobs as Axolotl's users write them, in Luthier's keys."""

import re

import pytest
from ruamel.yaml import YAML

from luthier.config import parse_config
from luthier.errors import ConfigError
from luthier.importing import import_file

COMMON = {
    "base_model": "some/Model-8B",
    "model_type": "LlamaForCausalLM",
    "load_in_8bit": False,
    "load_in_4bit": False,
    "dataset_prepared_path": None,
    "val_set_size": 0.05,
    "output_dir": "./outputs/lora-out",
    "adapter": "lora",
    "lora_model_dir": None,
    "sequence_len": 4096,
    "sample_packing": False,
    "lora_r": 32,
    "lora_alpha": 16,
    "lora_dropout": 0.05,
    "lora_target_linear": True,
    "wandb_project": None,
    "gradient_accumulation_steps": 4,
    "micro_batch_size": 2,
    "num_epochs": 4,
    "optimizer": "adamw_bnb_8bit",
    "lr_scheduler": "cosine",
    "learning_rate": 0.0002,
    "bf16": "auto",
    "tf32": False,
    "gradient_checkpointing": True,
    "logging_steps": 1,
    "attn_implementation": "flash_attention_2",
    "warmup_ratio": 0.1,
    "evals_per_epoch": 4,
    "saves_per_epoch": 1,
    "weight_decay": 0.0,
    "special_tokens": {"pad_token": "<|end_of_text|>"},
}
ROWS = [{"path": "rows.jsonl", "type": "alpaca"}]


def squeezed(text):
    """Without what breaks lines of comments apart."""
    return re.sub(r"[\s#]", "", text)


@pytest.fixture
def imported(tmp_path):
    """Writes a job and translates it; what Luthier reads back is what was meant."""

    def read(**settings):
        file = tmp_path / "job.yml"
        with file.open("w") as stream:
            YAML().dump(COMMON | settings, stream)
        found = import_file(file)
        assert parse_config(found.yaml) == found.config
        for setting in found.settings:
            assert setting.fate != "differs" or squeezed(setting.note) in squeezed(found.yaml)
        assert {setting.key for setting in found.settings} >= set(COMMON | settings)
        return found

    return read


def fates(found, fate):
    return {setting.key for setting in found.settings if setting.fate == fate}


def note_on(found, key):
    return next(setting.note for setting in found.settings if setting.key == key)


def test_lora(imported):
    found = imported(datasets=ROWS, lora_modules_to_save=["embed_tokens", "lm_head"])
    config, method, training = found.config, found.config.method, found.config.training
    assert (found.tool, config.name, config.model.base) == ("Axolotl", "lora-out", "some/Model-8B")
    assert (method.rank, method.alpha, method.dropout, method.targets) == (32, 16, 0.05, "all-linear")
    assert method.modules_to_save == ["embed_tokens", "lm_head"]
    assert (training.batch_size, training.epochs, training.learning_rate) == (8, 4, 2e-4)
    assert (training.schedule.name, training.schedule.warmup) == ("cosine", 0.1)
    assert (config.evaluation.every, training.checkpoint.every) == (0.0625, 0.25)
    [source] = config.data.train
    assert (source.path, source.format, config.data.template) == ("rows.jsonl", "alpaca", "alpaca")
    assert (config.data.max_length, config.data.too_long, config.data.split.validation) == (4096, "drop", 0.05)
    assert training.optimizer.name == "adamw_8bit"
    assert fates(found, "differs") == {"chat_template"}
    assert fates(found, "unknown") == set()


def test_optimisers_and_schedules_that_both_have(imported):
    found = imported(datasets=ROWS, optimizer="adafactor", lr_scheduler="polynomial", adam_beta1=0.8)
    training = found.config.training
    assert (training.optimizer.name, training.schedule.name, training.schedule.power) == ("adafactor", "polynomial", 1)
    assert "adam_beta1" in fates(found, "nothing")
    found = imported(datasets=ROWS, optimizer="muon", lr_scheduler="constant")
    assert (found.config.training.optimizer.name, found.config.training.optimizer.beta1) == ("muon", 0.95)
    assert {"optimizer", "lr_scheduler"} <= fates(found, "same")


@pytest.mark.parametrize(
    ("theirs", "ours", "note"),
    [
        ("paged_adamw_8bit", "adamw_8bit", "stays in the device's memory"),
        ("ao_adamw_4bit", "adamw", "in float32 instead of fewer bits"),
        ("galore_adamw", "adamw", "there is no 'galore_adamw'"),
        ("schedule_free_adamw", "adamw", "there is no 'schedule_free_adamw'"),
        ("lion_8bit", "lion", "in float32 instead of fewer bits"),
    ],
)
def test_optimisers_that_differ(imported, theirs, ours, note):
    found = imported(datasets=ROWS, optimizer=theirs)
    assert found.config.training.optimizer.name == ours
    assert "optimizer" in fates(found, "differs")
    assert note in note_on(found, "optimizer")


def test_the_options_of_optimisers(imported):
    found = imported(datasets=ROWS, optimizer="lion_32bit", adam_epsilon=1e-6)
    assert "optimizer" in fates(found, "same")
    assert found.config.training.optimizer.beta2 == 0.999, "which is theirs; ours is 0.99"
    assert "adam_epsilon" in fates(found, "nothing")
    found = imported(datasets=ROWS, optimizer="sgd", optim_args="nesterov=true")
    assert found.config.training.optimizer.momentum == 0, "theirs has none by itself"
    assert "optim_args" in fates(found, "none")


@pytest.mark.parametrize(
    ("theirs", "options", "ours"),
    [
        (
            "warmup_stable_decay",
            {"num_decay_steps": 30, "min_lr_ratio": 0.1},
            {"name": "wsd", "decay": 30, "shape": "cosine", "minimum": 0.1},
        ),
        (
            "reduce_lr_on_plateau",
            {"patience": 3, "factor": 0.2},
            {"name": "plateau", "patience": 4, "factor": 0.2, "warmup": 0},
        ),
        ("reduce_lr_on_plateau", None, {"name": "plateau", "patience": 11, "factor": 0.1}),
        ("cosine_with_restarts", {"num_cycles": 3}, {"name": "cosine", "cycles": 3}),
        ("cosine_with_min_lr", {"min_lr": "2e-5"}, {"name": "cosine", "minimum": pytest.approx(0.1)}),
        ("cosine_with_min_lr", {"min_lr_rate": 0.2}, {"name": "cosine", "minimum": 0.2}),
        ("polynomial", {"power": 2.0, "lr_end": 2e-5}, {"power": 2.0, "minimum": pytest.approx(0.1)}),
    ],
)
def test_schedules(imported, theirs, options, ours):
    found = imported(datasets=ROWS, lr_scheduler=theirs, lr_scheduler_kwargs=options)
    assert found.config.training.schedule.model_dump().items() >= ours.items()
    assert "lr_scheduler_kwargs" in fates(found, "same" if options else "nothing")


def test_what_of_schedules_differs(imported):
    found = imported(datasets=ROWS, lr_scheduler="greedy", lr_scheduler_kwargs={"factor": 0.5})
    assert found.config.training.schedule.name == "cosine"
    assert "lr_scheduler" in fates(found, "differs")
    assert "lr_scheduler_kwargs" in fates(found, "none")
    options = {"num_decay_steps": 30, "warmup_type": "cosine"}
    found = imported(datasets=ROWS, lr_scheduler="warmup_stable_decay", lr_scheduler_kwargs=options)
    assert note_on(found, "lr_scheduler_kwargs") == "no equivalent: warmup_type"
    found = imported(datasets=ROWS, lr_scheduler="linear", cosine_min_lr_ratio=0.1)
    assert "cosine_min_lr_ratio" in fates(found, "nothing")
    assert imported(datasets=ROWS, cosine_min_lr_ratio=0.1).config.training.schedule.minimum == 0.1


def test_warm_up_that_the_file_does_not_name(imported):
    found = imported(datasets=ROWS, warmup_ratio=None)
    assert found.config.training.schedule.warmup == 0.03
    assert "theirs ends after 100 steps at the latest" in note_on(found, "warmup_ratio")
    found = imported(datasets=ROWS, warmup_ratio=None, warmup_steps=0)
    assert found.config.training.schedule.warmup == 0, "the file says so"
    assert imported(datasets=ROWS, warmup_steps=20).config.training.schedule.warmup == 20


def test_qlora(imported):
    found = imported(datasets=ROWS, adapter="qlora", load_in_4bit=True, optimizer="paged_adamw_32bit", val_set_size=0)
    assert (found.config.method.name, found.config.model.quantise) == ("lora", "nf4")
    assert found.config.data.split.test == 0.1
    assert "val_set_size" in fates(found, "differs")
    assert imported(datasets=ROWS, load_in_8bit=True).config.model.quantise == "int8"


def test_completion_and_pretraining(imported):
    rows = [{"path": "web.jsonl", "type": "completion", "field": "body"}]
    config = imported(datasets=rows, sample_packing=True).config
    assert (config.data.train[0].format, config.data.train[0].columns) == ("text", {"text": "body"})
    assert (config.data.too_long, config.data.pack) == ("split", True)
    rows = {"path": "owner/web", "name": "en", "type": "pretrain", "text_column": "body", "skip": 10}
    found = imported(pretraining_dataset=[rows], max_steps=200)
    assert found.config.training.max_steps == 200
    [source] = found.config.data.train
    assert (source.path, source.subset, source.format, source.columns) == (
        *("hub:owner/web", "en", "text"),
        {"text": "body"},
    )
    assert note_on(found, "pretraining_dataset") == "hub:owner/web: no equivalent: skip"


def test_data_sets_of_the_hub(imported):
    rows = {"path": "owner/rows", "type": "alpaca", "name": "small", "split": "extra", "revision": "v2"}
    found = imported(datasets=[rows], test_datasets=[{"path": "owner/rows", "type": "alpaca"}])
    [train], [test] = found.config.data.train, found.config.data.validation
    assert (train.path, train.subset, train.split) == ("hub:owner/rows@v2", "small", "extra")
    assert (test.path, test.subset, test.split) == ("hub:owner/rows", None, "test"), "which Axolotl takes by itself"
    assert {"datasets", "test_datasets"} <= fates(found, "same")
    assert imported(datasets=[{"path": "oldest", "type": "alpaca"}]).config.data.train[0].path == "hub:oldest"
    found = imported(datasets=[rows | {"split": "train[:10%]", "data_files": "one.json"}])
    assert found.config.data.train[0].split == "train"
    note = note_on(found, "datasets")
    assert "split 'train[:10%]' has no equivalent: the whole split train is read" in note
    assert "data_files have no equivalent" in note


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"split": "train[:10%]"}, "split 'train[:10%]' has no equivalent: every row is read"),
        ({"name": "small", "shards": 4}, "no equivalent: name, shards"),
        ({"ds_type": "csv"}, "ds_type csv has no equivalent"),
        ({"type": "alpaca:chat"}, "type 'alpaca:chat' has a prompt of its own"),
        ({"field_chosen": "good"}, "no equivalent: field_chosen"),
        ({"type": "chat_template", "roles": {"assistant": ["gpt", "bot"]}}, "the roles gpt, bot are not known"),
        ({"path": "s3://bucket/rows"}, "there is no such file"),
    ],
)
def test_what_a_data_set_says_is_taken_or_named(imported, more, note):
    found = imported(datasets=[ROWS[0] | more])
    assert "datasets" in fates(found, "differs")
    assert note in note_on(found, "datasets")


def test_what_needs_nothing_is_not_named(imported):
    rows = ROWS[0] | {"split": "train", "ds_type": "json", "trust_remote_code": False, "name": None}
    chats = {"path": "chats.jsonl", "type": "chat_template", "roles": {"user": ["user"], "assistant": ["assistant"]}}
    assert "datasets" in fates(imported(datasets=[rows]), "same")
    assert "datasets" in fates(imported(datasets=[chats]), "same")


def test_one_template_for_all_rows(imported):
    turns = {"path": "chats.jsonl", "type": "chat_template", "chat_template": "gemma"}
    found = imported(datasets=[*ROWS, turns], chat_template="llama3")
    assert found.config.data.template == "alpaca"
    assert "its template gemma becomes data.template: alpaca" in note_on(found, "datasets")
    assert "chat_template" in fates(found, "nothing"), "no rows are written by it"
    found = imported(datasets=[turns | {"chat_template": "chatml"}])
    assert (found.config.data.template, fates(found, "differs")) == ("chatml", set())


def test_chat_template(imported):
    turns = {"path": "chats.jsonl", "type": "chat_template", "field_messages": "talk"}
    shared = turns | {"message_property_mappings": {"role": "from", "content": "value"}}
    found = imported(datasets=[turns, shared], chat_template="llama3")
    one, other = found.config.data.train
    assert (one.format, one.columns) == ("messages", {"messages": "talk"})
    assert (other.format, other.columns) == ("sharegpt", {"conversations": "talk"})
    assert found.config.data.template == "chat"
    assert "chat_template" in fates(found, "differs")
    assert imported(datasets=[turns], chat_template="chatml").config.data.template == "chatml"
    odd = turns | {"message_property_mappings": {"role": "who", "content": "what"}, "train_on_eos": "turn"}
    note = note_on(imported(datasets=[odd]), "datasets")
    assert "rename them to role and content" in note
    assert "no equivalent: train_on_eos" in note


def test_preferences(imported):
    rows = [
        {
            "path": "pairs.jsonl",
            "type": "chat_template.default",
            "field_messages": "conversation",
            "field_chosen": "good",
            "field_rejected": "bad",
        }
    ]
    found = imported(datasets=rows, rl="dpo", rl_beta=0.2, chat_template="tokenizer_default")
    assert (found.config.task.name, found.config.task.beta, found.config.task.loss) == ("preference", 0.2, "sigmoid")
    assert found.config.data.train[0].columns == {"prompt": "conversation", "chosen": "good", "rejected": "bad"}
    assert found.config.data.template == "chat"
    assert "datasets" in fates(found, "same")


@pytest.mark.parametrize(
    ("kind", "columns", "template"),
    [("chatml.intel", {"prompt": "question"}, "chatml"), ("llama3.icr", {"prompt": "input"}, "chat")],
)
def test_types_of_preferences(imported, kind, columns, template):
    config = imported(datasets=[{"path": "pairs.jsonl", "type": kind}], rl="dpo").config
    assert (config.data.train[0].columns, config.data.template) == (columns, template)


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("zephyr.nectar", "type 'zephyr.nectar' has a layout of its own"),
        ("chatml.other", "type 'chatml.other' has a layout of its own"),
        ("llama3", "its template llama3 becomes data.template: chat"),
        ({"field_prompt": "ask", "prompt_format": "<{prompt}>"}, "its prompt_format: write data.template like them"),
        (None, "learns its texts as they are"),
    ],
)
def test_types_of_preferences_that_differ(imported, kind, note):
    assert note in note_on(imported(datasets=[{"path": "pairs.jsonl", "type": kind}], rl="dpo"), "datasets")


def test_ipo(imported):
    rows = [{"path": "pairs.jsonl", "type": "chat_template.default"}]
    found = imported(datasets=rows, rl="ipo", dpo_label_smoothing=0.1)
    assert (found.config.task.loss, found.config.task.label_smoothing) == ("ipo", 0)
    assert "dpo_label_smoothing" in fates(found, "nothing"), "theirs takes no notice of it"


def test_full_tuning(imported):
    found = imported(datasets=ROWS, adapter=None, sequence_len=8192, sample_packing=True, deepspeed="zero3.json")
    assert found.config.method.name == "full"
    assert {"deepspeed"} <= fates(found, "none")
    assert "sample_packing" in fates(found, "differs")
    assert {"lora_r", "lora_target_linear"} <= fates(found, "nothing")


def test_the_rest_of_lora_and_training(imported):
    found = imported(
        datasets=[{"path": "json", "data_files": ["a.json", "b.json"], "type": "alpaca"}],
        lora_target_linear=None,
        lora_target_modules=["q_proj", "v_proj"],
        peft_use_dora=True,
        peft_layers_to_transform=[0, 1],
        lr_scheduler="constant",
        warmup_ratio=None,
        max_grad_norm=0.3,
        early_stopping_patience=3,
        excess_length_strategy="truncate",
        wandb_project="mine",
        made_up_key=1,
    )
    config = found.config
    assert (config.method.targets, config.method.dora, config.method.layers) == (["q_proj", "v_proj"], True, [0, 1])
    assert (config.training.schedule.name, config.training.schedule.warmup) == ("constant", 0)
    assert (config.training.max_grad_norm, config.training.early_stopping.patience) == (0.3, 3)
    assert (config.data.train[0].path, config.data.too_long) == ("a.json", "truncate")
    assert fates(found, "unknown") == {"made_up_key"}
    assert fates(found, "none") == {"wandb_project"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"datasets": ROWS, "rl": "orpo"}, "does not do rl 'orpo'"),
        ({"datasets": ROWS, "reward_model": True}, "reward models"),
        ({"datasets": ROWS, "adapter": "llama-adapter"}, "adapter 'llama-adapter'"),
        ({}, "it names no data set"),
        ({"datasets": [{"path": "a.jsonl", "type": "chat_template", "roles": ["bot"]}]}, "roles of a data set"),
    ],
)
def test_jobs_that_are_not_done_here(imported, settings, message):
    with pytest.raises(ConfigError, match=message):
        imported(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_model": None}, r"base_model in .*job\.yml: model\.base: got null, expected text"),
        ({"lora_dropout": 3}, r"lora_dropout in .*job\.yml: method\.dropout"),
        ({"lora_r": "many"}, r"lora_r is 'many'\n  where: lora_r in .*job\.yml\n  expected: a number"),
        ({"max_steps": 2.5}, r"max_steps is 2\.5\n.*\n  expected: a whole number"),
        ({"num_epochs": 0, "evals_per_epoch": 2}, r"num_epochs in .*job\.yml: training\.epochs"),
    ],
)
def test_values_that_cannot_be_taken(imported, settings, message):
    with pytest.raises(ConfigError, match=message):
        imported(datasets=ROWS, **settings)


def test_other_files(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("model: {base: some/base}\n")
    with pytest.raises(ConfigError, match="no known tool"):
        import_file(file)
    file.write_text("a: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        import_file(file)
    with pytest.raises(ConfigError, match="there is no file"):
        import_file(tmp_path / "nowhere.yaml")
