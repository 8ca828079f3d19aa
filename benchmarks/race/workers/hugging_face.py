"""What the two trainers on `transformers` share: network, adapter, arguments and the losses they log."""

from __future__ import annotations

from typing import Any

from common import Job
from peft import LoraConfig
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    TrainerCallback,
)

PEFT_TASKS = {"causal_lm": "CAUSAL_LM", "sequence_classification": "SEQ_CLS"}


def load_network(job: Job) -> nn.Module:
    """The base in the job's number type, with the head that everybody begins with."""
    options = {"dtype": job.dtype, "attn_implementation": job.settings["attention"]}
    if job["task"] == "causal_lm":
        return AutoModelForCausalLM.from_pretrained(job["base"], **options)
    network = AutoModelForSequenceClassification.from_pretrained(job["base"], num_labels=len(job["labels"]), **options)
    from safetensors.torch import load_file

    network.load_state_dict({name: value.to(job.dtype) for name, value in load_file(job["head"]).items()}, strict=False)
    return network


def lora_config(job: Job) -> LoraConfig:
    """The adapter that Luthier trains."""
    return LoraConfig(
        task_type=PEFT_TASKS[job["task"]],
        r=job["rank"],
        lora_alpha=job["alpha"],
        lora_dropout=0.0,
        target_modules=job["targets"],
        modules_to_save=job["modules_to_save"] or None,
    )


def training_arguments(job: Job) -> dict[str, Any]:
    """`TrainingArguments` as keywords: a constant learning rate, no clipping, nothing saved or reported on the way."""
    return {
        "output_dir": str(job.output),
        "per_device_train_batch_size": job.micro_batch,
        "gradient_accumulation_steps": job["batch_size"] // job.micro_batch,
        "max_steps": job["steps"],
        "learning_rate": job["learning_rate"],
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "max_grad_norm": 0.0,
        "train_sampling_strategy": "group_by_length" if job.settings["grouped"] else "sequential",
        "include_num_input_tokens_seen": "non_padding" if job.settings["grouped"] else "no",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "remove_unused_columns": False,
        "seed": job["seed"],
    }


class Losses(TrainerCallback):
    """Keeps what the trainer logs after every step: the loss and, with length grouping, the real tokens until then."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.tokens_seen: list[int] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.values.append(float(logs["loss"]))
            self.tokens_seen.append(int(logs.get("num_input_tokens_seen", 0)))
