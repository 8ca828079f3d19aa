"""Configurations of Axolotl: one mapping, its data sets as a list inside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.importing import Importer, Translation
from luthier.importing import _axolotl_data as data
from luthier.importing import _training as training

PREFERENCE_LOSSES = {"dpo": "sigmoid", "ipo": "ipo"}

WARMUP, LONGEST_WARMUP = 0.03, 100
"""Where the file names no warm-up: a share of all steps, and at most so many (`core/builders/base.py` there)."""

TOO_LONG = {"drop": "drop", "truncate": "truncate", "raise": "fail"}

NOTHING = {
    "model_type": "its own configuration says so",
    "tokenizer_type": "its own configuration says so",
    "base_model_config": "its own configuration says so",
    "tokenizer_config": "its own configuration says so",
    "is_llama_derived_model": "its own configuration says so",
    "is_mistral_derived_model": "its own configuration says so",
    "is_falcon_derived_model": "its own configuration says so",
    "strict": "wrong keys are always refused",
    "dataset_prepared_path": "prepared rows are cached by their content",
    "dataset_processes": "rows are prepared once and cached",
    "dataset_num_proc": "rows are prepared once and cached",
    "shuffle_merged_datasets": "every epoch is a new order",
    "pad_to_sequence_len": "nothing is padded to a fixed length; results are the same",
    "eval_sample_packing": "evaluation is not packed",
    "group_by_length": "rows of like length are computed together; the order is still random",
    "tf32": "products have the run's number type",
    "gradient_checkpointing": "training.memory decides what is computed again; results are the same",
    "gradient_checkpointing_kwargs": "training.memory decides what is computed again; results are the same",
    "flash_attention": "the engine chooses its attention; results are the same",
    "flash_attn_cross_entropy": "the fast engine never holds all logits; results are the same",
    "flash_attn_fuse_mlp": "the fast engine has its own; results are the same",
    "attn_implementation": "the engine chooses its attention; results are the same",
    "sdp_attention": "the engine chooses its attention; results are the same",
    "xformers_attention": "the engine chooses its attention; results are the same",
    "flex_attention": "the engine chooses its attention; results are the same",
    "eager_attention": "the engine chooses its attention; results are the same",
    "liger_rope": "the fast engine has its own; results are the same",
    "liger_rms_norm": "the fast engine has its own; results are the same",
    "liger_layer_norm": "the fast engine has its own; results are the same",
    "liger_glu_activation": "the fast engine has its own; results are the same",
    "liger_fused_linear_cross_entropy": "the fast engine never holds all logits; results are the same",
    "use_kernels": "the fast engine has its own; results are the same",
    "activation_offloading": "training.memory decides what is computed again; results are the same",
    "ddp_find_unused_parameters": "there is one process",
    "remove_unused_columns": "only the columns of the row format are read",
    "lora_mlp_kernel": "the fast engine has its own; results are the same",
    "lora_qkv_kernel": "the fast engine has its own; results are the same",
    "lora_o_kernel": "the fast engine has its own; results are the same",
    "logging_steps": "every step is in events.jsonl",
    "resume_from_checkpoint": "`luthier train --resume RUN`",
    "auto_resume_from_checkpoints": "`luthier train --resume RUN`",
    "eval_batch_size": "the engine chooses it; results are the same",
    "eval_table_size": "answers are in report.html",
    "save_safetensors": "always",
    "load_best_model_at_end": "always: evaluation.best names the metric",
    "lora_fan_in_fan_out": "it follows from the layers",
    "lora_on_cpu": "the run has one device",
    "save_first_step": "the first checkpoint is at training.checkpoint.every",
    "special_tokens": "the tokenizer's own; a pad token is set where there is none",
    "ddp_timeout": "there is one process",
    "local_rank": "there is one process",
    "debug": "LUTHIER_DEBUG=1 shows tracebacks",
}
"""Settings that need nothing here, and why."""

NONE = {
    "deepspeed": "there is one process on one device",
    "fsdp": "there is one process on one device",
    "fsdp_version": "there is one process on one device",
    "fsdp_config": "there is one process on one device",
    "wandb_project": "set tracking; curves are in events.jsonl and report.html too",
    "wandb_entity": "set tracking; curves are in events.jsonl and report.html too",
    "wandb_watch": "set tracking; curves are in events.jsonl and report.html too",
    "wandb_name": "set tracking; curves are in events.jsonl and report.html too",
    "wandb_log_model": "set tracking; curves are in events.jsonl and report.html too",
    "wandb_run_id": "set tracking; curves are in events.jsonl and report.html too",
    "mlflow_tracking_uri": "set tracking; curves are in events.jsonl and report.html too",
    "use_tensorboard": "set tracking; curves are in events.jsonl and report.html too",
    "hub_model_id": "nothing is uploaded",
    "hub_strategy": "nothing is uploaded",
    "hf_use_auth_token": "the hub client's own login is used",
    "lora_model_dir": "an adapter of another tool is not trained further",
    "train_on_inputs": "only answers are learned",
    "tokens": "the vocabulary stays",
    "added_tokens_overrides": "the vocabulary stays",
    "resize_token_embeddings_to_32x": "the vocabulary stays",
    "unfrozen_parameters": "set method.freeze.layers to the layers that stay",
    "gptq": "the base is quantised by bitsandbytes",
    "loftq_config": "set method.init: loftq",
    "relora": "one adapter is trained from beginning to end",
    "plugins": "there are none",
    "processor_type": "rows are text",
    "skip_prepare_dataset": "rows are always prepared",
    "eot_tokens": "the chat template closes every answer",
    "quantize_moe_experts": "model.quantise holds linear layers in fewer bits",
    "loss_watchdog_threshold": "a loss that is not finite stops the run; `luthier diagnose` names spikes",
    "loss_watchdog_patience": "a loss that is not finite stops the run; `luthier diagnose` names spikes",
    "loraplus_lr_embedding": "embeddings have the learning rate of the others",
    "peft_layers_pattern": "the layers of the base are known",
    "peft_init_lora_weights": "set method.init",
    "neftune_noise_alpha": "no noise is added",
    "streaming": "rows are prepared whole, in little memory",
    "revision_of_model": "the newest revision is taken; put a folder into model.base for another one",
    "overrides_of_model_config": "set model.rope_scaling with its type and how many times the base's length",
    "do_bench_eval": "rows of your own are scored",
    "lr_groups": "the method decides its groups",
    "qlora_sharded_model_loading": "there is one process",
}
"""Settings without an equivalent, and what is done instead."""


class Axolotl(Importer):
    """Reads the YAML files that `axolotl train` takes."""

    title = "Axolotl"

    def recognises(self, given: Mapping[str, Any]) -> bool:
        """By the name of the model's key."""
        return "base_model" in given

    def translate(self, translation: Translation, file: Path) -> None:
        """See `luthier.importing.Importer`."""
        training.name(translation)
        _model(translation)
        _task(translation, file)
        _method(translation, file)
        data.sources(translation, file)
        _lengths(translation)
        _training(translation)
        _evaluation(translation)
        translation.explain("nothing", NOTHING)
        translation.explain("none", NONE)


def _model(translation: Translation) -> None:
    translation.same("base_model", "model.base", translation.given["base_model"])
    translation.copy({"trust_remote_code": "model.trust_remote_code"})
    kinds = {"bf16": "bfloat16", "bfloat16": "bfloat16", "fp16": "float16", "float16": "float16", "float32": "float32"}
    training.number_type(translation, kinds)
    for key, bits in (("load_in_4bit", 4), ("load_in_8bit", 8)):
        if translation.get(key):
            training.quantise(translation, key, bits)
        elif key in translation.given:
            translation.say(key, "nothing")


def _task(translation: Translation, file: Path) -> None:
    wanted = translation.get("rl")
    if wanted is None:
        translation.put("task.name", "causal_lm")
        for key in ("reward_model", "process_reward_model"):
            if translation.get(key):
                raise training.unsupported("reward models", key, file, "rl: dpo learns from pairs without one")
        return
    if wanted not in PREFERENCE_LOSSES:
        raise training.unsupported(f"rl '{wanted}'", "rl", file, " or ".join(PREFERENCE_LOSSES))
    translation.same("rl", "task.name", "preference")
    translation.put("task.loss", PREFERENCE_LOSSES[wanted])
    translation.copy({"rl_beta": "task.beta", "dpo_beta": "task.beta", "rpo_alpha": "task.sft_weight"})
    if wanted == "dpo":
        translation.copy({"dpo_label_smoothing": "task.label_smoothing"})
    translation.explain("nothing", {"dpo_label_smoothing": f"their {wanted} has none"})


def _method(translation: Translation, file: Path) -> None:
    adapter = translation.get("adapter")
    if adapter is None:
        note = "no adapter: every weight is trained"
        translation.same("adapter", "method.name", "full", note)
        lora = [key for key in translation.given if key.startswith(("lora_", "peft_", "loraplus_"))]
        translation.explain("nothing", dict.fromkeys(lora, "there is no adapter"))
        return
    if adapter not in ("lora", "qlora"):
        raise training.unsupported(f"adapter '{adapter}'", "adapter", file, "lora, qlora or none")
    translation.same("adapter", "method.name", "lora")
    if adapter == "qlora" and not (translation.get("load_in_4bit") or translation.get("load_in_8bit")):
        translation.put("model.quantise", "nf4")
    translation.same("lora_r", "method.rank", translation.whole("lora_r", 8))
    translation.same("lora_alpha", "method.alpha", translation.number("lora_alpha", 16))
    translation.same("lora_dropout", "method.dropout", translation.number("lora_dropout", 0.0))
    _targets(translation)
    translation.copy(
        {
            "lora_modules_to_save": "method.modules_to_save",
            "peft_use_dora": "method.dora",
            "peft_use_rslora": "method.rslora",
            "peft_layers_to_transform": "method.layers",
            "lora_rank_pattern": "method.rank_pattern",
            "lora_alpha_pattern": "method.alpha_pattern",
            "loraplus_lr_ratio": "method.plus_ratio",
        }
    )


def _targets(translation: Translation) -> None:
    named = translation.get("lora_target_modules")
    if translation.get("lora_target_linear") or named == "all-linear":
        key = "lora_target_linear" if translation.get("lora_target_linear") else "lora_target_modules"
        translation.same(key, "method.targets", "all-linear")
        translation.explain("nothing", {"lora_target_modules": "all linear layers are taken"})
    elif named:
        translation.same("lora_target_modules", "method.targets", named)
        translation.explain("nothing", {"lora_target_linear": ""})
    else:
        translation.differs("lora_target_modules", "method.targets", "attention", "theirs depends on the architecture")


def _lengths(translation: Translation) -> None:
    translation.same("sequence_len", "data.max_length", translation.whole("sequence_len", 512))
    documents = all(source["format"] == "text" for source in translation.values["data"]["train"])
    packed = bool(translation.get("sample_packing"))
    if documents:
        translation.put("data.too_long", "split")
        if packed:
            translation.same("sample_packing", "data.pack", True, "whole documents, which do not see each other")
    else:
        excess = str(translation.get("excess_length_strategy", "drop"))
        translation.same("excess_length_strategy", "data.too_long", TOO_LONG.get(excess, "drop"))
        note = (
            "rows are not packed: training.batch_size counts rows, theirs counts packed sequences of several rows, so "
            "raise it by about sequence_len over your rows' usual length"
        )
        if packed:
            translation.say("sample_packing", "differs", "training.batch_size", note)
        translation.explain("nothing", {"sample_packing": ""})


def _training(translation: Translation) -> None:
    epochs = translation.number("num_epochs", 1.0)
    translation.same("num_epochs", "training.epochs", epochs)
    if translation.number("max_steps", -1) > 0:
        translation.same("max_steps", "training.max_steps", translation.whole("max_steps", 0))
    training.batch(translation, "micro_batch_size", 1)
    translation.same("learning_rate", "training.learning_rate", translation.number("learning_rate", 2e-4))
    _schedule(translation)
    optimiser = str(translation.get("optimizer", "adamw_torch_fused"))
    training.optimiser(translation, "optimizer", optimiser, betas=(0.95, 0.95) if optimiser == "muon" else (0.9, 0.999))
    if translation.has("seed"):
        translation.same("seed", "training.seed", translation.whole("seed", 0))
    if translation.has("saves_per_epoch"):
        training.per_epoch(translation, "saves_per_epoch", "training.checkpoint.every", epochs)
    training.every(translation, "training.checkpoint.every", "save", epochs)
    training.kept(translation)
    if translation.has("early_stopping_patience"):
        stopping = {"metric": "loss", "patience": translation.whole("early_stopping_patience", 0)}
        translation.same("early_stopping_patience", "training.early_stopping", stopping)


def _schedule(translation: Translation) -> None:
    late = f"theirs ends after {LONGEST_WARMUP} steps at the latest"
    training.schedule(translation, "lr_scheduler", "cosine", warmup=WARMUP, note=late)
    lowest = "cosine_min_lr_ratio"
    if translation.get("lr_scheduler", "cosine") not in ("cosine", "rex"):
        translation.explain("nothing", {lowest: "their schedule has none"})
    elif translation.has(lowest):
        translation.same(lowest, "training.schedule.minimum", translation.number(lowest, 0))


def _evaluation(translation: Translation) -> None:
    epochs = translation.number("num_epochs", 1.0)
    if translation.has("evals_per_epoch"):
        training.per_epoch(translation, "evals_per_epoch", "evaluation.every", epochs)
    training.every(translation, "evaluation.every", "eval", epochs)
    translation.put("evaluation.few_shot", 0)
    if not translation.has("rl"):
        translation.put("evaluation.modes", ["likelihood"])
