"""Configurations of LLaMA-Factory: one flat mapping, data sets by their names in dataset_info.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.importing import Importer, Translation
from luthier.importing import _llama_factory_data as data
from luthier.importing import _training as training

STAGES = {"sft": "causal_lm", "pt": "causal_lm", "dpo": "preference"}
LOSSES = {"sigmoid", "hinge", "ipo"}

NOTHING = {
    "do_train": "`luthier train` does",
    "do_eval": "every run is evaluated",
    "overwrite_output_dir": "every run has a folder of its own",
    "overwrite_cache": "prepared rows are known by their content",
    "logging_steps": "every step is in events.jsonl",
    "logging_strategy": "every step is in events.jsonl",
    "plot_loss": "curves are in report.html",
    "save_only_model": "checkpoints hold what is trained and the optimiser",
    "resume_from_checkpoint": "`luthier train --resume RUN`",
    "preprocessing_num_workers": "rows are prepared once and cached",
    "preprocessing_batch_size": "rows are prepared once and cached",
    "dataloader_num_workers": "rows are tokens on disk before training begins",
    "ddp_timeout": "there is one process",
    "flash_attn": "the engine chooses its attention; results are the same",
    "enable_liger_kernel": "the fast engine never holds all logits; results are the same",
    "use_unsloth": "the fast engine is Luthier's own",
    "use_unsloth_gc": "training.memory decides what is computed again; results are the same",
    "disable_gradient_checkpointing": "training.memory decides what is computed again; results are the same",
    "gradient_checkpointing": "training.memory decides what is computed again; results are the same",
    "use_reentrant_gc": "training.memory decides what is computed again; results are the same",
    "per_device_eval_batch_size": "the engine chooses it; results are the same",
    "load_best_model_at_end": "always: evaluation.best names the metric",
    "low_cpu_mem_usage": "always",
    "use_fast_tokenizer": "always",
    "ignore_pad_token_for_loss": "padding is never learned",
    "double_quantization": "nf4 keeps its scales in 8 bits",
    "quantization_type": "nf4",
    "upcast_layernorm": "trained weights are float32 anyway",
    "compute_accuracy": "the likelihood of the answers is measured",
    "include_num_input_tokens_seen": "always in events.jsonl",
    "pissa_iter": "init: pissa_fast does the same number of rounds",
    "pissa_convert": "always saved as plain LoRA",
    "cache_dir": "the hub's own cache, or LUTHIER_CACHE",
    "print_param_status": "`luthier plan` says what is trained",
    "fp16_full_eval": "evaluation has the run's number type",
}
"""Settings that need nothing here, and why."""

NONE = {
    "deepspeed": "there is one process on one device",
    "fsdp": "there is one process on one device",
    "fsdp_config": "there is one process on one device",
    "report_to": "set tracking; curves are in events.jsonl and report.html too",
    "run_name": "set tracking; a run is known by the name of its folder",
    "train_on_prompt": "only answers are learned",
    "mask_history": "all answers of a conversation are learned",
    "streaming": "rows are prepared whole, in little memory",
    "mix_strategy": "sources are put together as they are",
    "interleave_probs": "sources are put together as they are",
    "tokenized_path": "Luthier has a cache of its own",
    "neat_packing": "rows with answers are not packed; the fast engine computes no padding",
    "tool_format": "tools go through the model's chat template",
    "media_dir": "rows are text",
    "image_max_pixels": "rows are text",
    "video_max_pixels": "rows are text",
    "freeze_vision_tower": "rows are text",
    "freeze_multi_modal_projector": "rows are text",
    "freeze_language_model": "set method.freeze",
    "enable_thinking": "the model's chat template decides",
    "adapter_name_or_path": "an adapter of another tool is not trained further; `luthier evaluate RUN` scores a run",
    "model_revision": "the newest revision is taken; put a folder into model.base for another one",
    "resize_vocab": "the vocabulary stays",
    "add_tokens": "the vocabulary stays",
    "add_special_tokens": "the vocabulary stays",
    "rope_scaling": "set model.rope_scaling with its type and how many times the base's length",
    "shift_attn": "attention is the model's own",
    "mixture_of_depths": "the network is the base's own",
    "loraplus_lr_embedding": "embeddings have the learning rate of the others",
    "freeze_trainable_layers": "set method.freeze.layers to the layers that stay, counted from 0",
    "freeze_trainable_modules": "set method.freeze",
    "use_llama_pro": "there are no added layers",
    "use_galore": "set training.optimizer, or stay with AdamW",
    "use_apollo": "set training.optimizer, or stay with AdamW",
    "use_badam": "set training.optimizer, or stay with AdamW",
    "use_adam_mini": "set training.optimizer, or stay with AdamW",
    "neftune_noise_alpha": "no noise is added",
    "ref_model": "the base with the adapter off is the reference",
    "create_new_adapter": "a run begins at its base",
}
"""Settings without an equivalent, and what is done instead."""


class LlamaFactory(Importer):
    """Reads the YAML files that `llamafactory-cli train` takes."""

    title = "LLaMA-Factory"

    def recognises(self, given: Mapping[str, Any]) -> bool:
        """By the name of the model's key."""
        return "model_name_or_path" in given

    def translate(self, translation: Translation, file: Path) -> None:
        """See `luthier.importing.Importer`."""
        stage = str(translation.get("stage", "sft"))
        if stage not in STAGES:
            raise training.unsupported(f"stage '{stage}'", "stage", file, "sft, pt or dpo")
        training.name(translation)
        _model(translation)
        _task(translation, stage, file)
        _method(translation, file)
        data.sources(translation, stage, file)
        _template(translation, stage)
        _training(translation)
        _evaluation(translation, stage)
        translation.explain("nothing", NOTHING)
        translation.explain("none", NONE)
        if str(translation.get("report_to", "none")).lower() == "none" and "report_to" in translation.given:
            translation.say("report_to", "nothing")


def _model(translation: Translation) -> None:
    translation.same("model_name_or_path", "model.base", translation.given["model_name_or_path"])
    translation.copy({"trust_remote_code": "model.trust_remote_code"})
    training.number_type(translation, {"bf16": "bfloat16", "pure_bf16": "bfloat16", "fp16": "float16"})
    if translation.has("quantization_bit"):
        training.quantise(translation, "quantization_bit", translation.whole("quantization_bit", 0))
    method = str(translation.get("quantization_method", "bnb"))
    if "quantization_method" in translation.given:
        fits = method in ("bnb", "bitsandbytes")
        note = "" if fits else f"the base is quantised by bitsandbytes, not by {method}"
        translation.say("quantization_method", "same" if fits else "none", note=note)


def _task(translation: Translation, stage: str, file: Path) -> None:
    translation.same("stage", "task.name", STAGES[stage])
    if stage != "dpo":
        return
    loss = str(translation.get("pref_loss", "sigmoid"))
    if loss not in LOSSES:
        raise training.unsupported(f"the preference loss '{loss}'", "pref_loss", file, ", ".join(sorted(LOSSES)))
    translation.same("pref_loss", "task.loss", loss)
    translation.same("pref_beta", "task.beta", translation.number("pref_beta", 0.1))
    translation.copy({"pref_ftx": "task.sft_weight", "dpo_label_smoothing": "task.label_smoothing"})


def _method(translation: Translation, file: Path) -> None:
    kind = str(translation.get("finetuning_type", "lora"))
    if kind not in ("lora", "full", "freeze"):
        raise training.unsupported(f"finetuning_type '{kind}'", "finetuning_type", file, "lora, full or freeze")
    if kind == "freeze":
        note = "every layer is trained until method.freeze.layers names those that stay, counted from 0"
        translation.differs("finetuning_type", "method.name", "full", note)
        return
    translation.same("finetuning_type", "method.name", kind)
    if kind == "lora":
        _lora(translation)


def _lora(translation: Translation) -> None:
    rank = translation.whole("lora_rank", 8)
    translation.same("lora_rank", "method.rank", rank)
    translation.same("lora_alpha", "method.alpha", translation.number("lora_alpha", 2 * rank))
    translation.same("lora_dropout", "method.dropout", translation.number("lora_dropout", 0.0))
    wanted = translation.get("lora_target", "all")
    names = wanted if isinstance(wanted, list) else [name.strip() for name in str(wanted).split(",")]
    translation.same("lora_target", "method.targets", "all-linear" if "all" in names else names)
    if translation.has("additional_target"):
        whole = [name.strip() for name in str(translation.get("additional_target")).split(",")]
        translation.same("additional_target", "method.modules_to_save", whole)
    translation.copy(
        {"use_rslora": "method.rslora", "use_dora": "method.dora", "loraplus_lr_ratio": "method.plus_ratio"}
    )
    if translation.get("pissa_init"):
        fast = translation.whole("pissa_iter", 16) > 0
        translation.same("pissa_init", "method.init", "pissa_fast" if fast else "pissa")


def _template(translation: Translation, stage: str) -> None:
    translation.copy({"default_system": "data.system"})
    name = translation.get("template")
    if name is None or stage == "pt":
        translation.explain("nothing", {"template": "running text has no template"})
    elif name in ("alpaca", "chatml"):
        translation.same("template", "data.template", name)
    else:
        note = f"the model's own chat template in place of theirs for '{name}'; `luthier inspect` shows it"
        translation.differs("template", "data.template", "chat", note)
    length = translation.whole("cutoff_len", 2048)
    translation.same("cutoff_len", "data.max_length", length)
    packed = stage == "pt" and translation.get("packing") is not False
    translation.put("data.too_long", "split" if packed else "truncate")
    if packed:
        translation.same("packing", "data.pack", True, "whole documents, which do not see each other")
    translation.explain("none", {"packing": "rows with answers are not packed; the engine computes no padding"})


def _training(translation: Translation) -> None:
    translation.same("num_train_epochs", "training.epochs", translation.number("num_train_epochs", 3.0))
    if translation.number("max_steps", -1) > 0:
        translation.same("max_steps", "training.max_steps", translation.whole("max_steps", 0))
    training.batch(translation, "per_device_train_batch_size", 8)
    translation.same("learning_rate", "training.learning_rate", translation.number("learning_rate", 5e-5))
    training.schedule(translation, "lr_scheduler_type", "linear")
    if translation.get("use_muon"):
        training.optimiser(translation, "use_muon", "muon")
        translation.explain("nothing", {"optim": "use_muon comes first"})
    else:
        training.optimiser(translation, "optim", str(translation.get("optim", "adamw_torch")))
        translation.explain("nothing", {"use_muon": ""})
    seed = translation.whole("seed", 42)
    translation.same("seed", "training.seed", seed)
    epochs = translation.number("num_train_epochs", 3.0)
    training.every(translation, "training.checkpoint.every", "save", epochs)
    training.kept(translation)
    if translation.has("early_stopping_steps"):
        stopping = {"metric": "loss", "patience": translation.whole("early_stopping_steps", 0)}
        translation.same("early_stopping_steps", "training.early_stopping", stopping)


def _evaluation(translation: Translation, stage: str) -> None:
    training.every(translation, "evaluation.every", "eval", translation.number("num_train_epochs", 3.0))
    translation.put("evaluation.few_shot", 0)
    if stage != "dpo":
        writes = bool(translation.get("predict_with_generate"))
        translation.put("evaluation.modes", ["likelihood", "generate"] if writes and stage == "sft" else ["likelihood"])
        translation.explain("same", {"predict_with_generate": "evaluation.modes has generate"})
    if translation.has("max_new_tokens"):
        translation.same("max_new_tokens", "evaluation.generate.max_new_tokens", translation.whole("max_new_tokens", 0))
    for key in ("temperature", "top_p", "top_k", "do_sample", "num_beams", "repetition_penalty", "length_penalty"):
        translation.explain("none", {key: "answers are written greedily, so that scores repeat"})
