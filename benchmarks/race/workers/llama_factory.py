"""LLaMA-Factory, fed with rows that are tokenised already.

It imports torchaudio for sounds that text never has; an empty module stands in, for there is none that fits this torch.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from itertools import accumulate
from typing import Any

sys.modules["torchaudio"] = module_from_spec(ModuleSpec("torchaudio", None))

from common import IGNORED, Clock, Job, finish, read_job  # noqa: E402
from datasets import Dataset, DatasetDict  # noqa: E402
from llamafactory.train.tuner import run_exp  # noqa: E402
from transformers import TrainerCallback  # noqa: E402


class Watch(TrainerCallback):
    """Starts the clock when everything is loaded, and keeps the losses."""

    def __init__(self, job: Job, clock: Clock) -> None:
        self.job, self.clock = job, clock
        self.losses: list[float] = []
        self.tokens: list[int] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.clock.start(self.job)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.losses.append(float(logs["loss"]))
            self.tokens.append(int(logs.get("num_input_tokens_seen", 0)))


def packed(rows: list[dict[str, Any]], pad_id: int) -> dict[str, Any]:
    """The rows of a step as one, with a number per row in the attention mask, as its `neat_packing` makes them.

    Its collator pads everything but the positions to a multiple of 8, so that is done here already.
    """
    ends = list(accumulate(len(row["input_ids"]) for row in rows))
    padding = -ends[-1] % 8
    return {
        "input_ids": [token for row in rows for token in row["input_ids"]] + [pad_id] * padding,
        "attention_mask": [number for number, row in enumerate(rows, 1) for _ in row["input_ids"]] + [0] * padding,
        "position_ids": [place for row in rows for place in range(len(row["input_ids"]))] + [0] * padding,
        "labels": [label for row in rows for label in (IGNORED, *row["labels"][1:])] + [IGNORED] * padding,
        "packing_params": {"sequence_boundaries": [0, *ends]},
    }


def arguments(job: Job, tokens: str, packing: bool) -> dict[str, Any]:
    """Its configuration as a user would write it into YAML."""
    size = 1 if packing else job.micro_batch
    return {
        "stage": "sft",
        "do_train": True,
        "model_name_or_path": job["base"],
        "template": "empty",
        "finetuning_type": "lora",
        "lora_rank": job["rank"],
        "lora_alpha": int(job["alpha"]),
        "lora_dropout": 0.0,
        "lora_target": ",".join(job["targets"]),
        "dataset": "tokenised",
        "tokenized_path": tokens,
        "neat_packing": packing,
        "cutoff_len": 1024,
        "flash_attn": {"sdpa": "sdpa", "eager": "disabled"}[job.settings["attention"]],
        "disable_gradient_checkpointing": True,
        "disable_shuffling": not job.settings["grouped"],
        "train_sampling_strategy": "group_by_length" if job.settings["grouped"] else "sequential",
        "include_num_input_tokens_seen": "non_padding" if job.settings["grouped"] else "no",
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": 1 if packing else job["batch_size"] // size,
        "max_steps": job["steps"],
        "learning_rate": job["learning_rate"],
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "max_grad_norm": 0.0,
        "bf16": job.settings["dtype"] == "bfloat16",
        "use_cpu": True,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "output_dir": str(job.output),
        "seed": job["seed"],
    }


def main() -> None:
    job, clock = read_job(), Clock()
    watch, packing = Watch(job, clock), job.settings["padding_free"]
    rows = [packed(step, job["pad_id"]) for step in job.steps()] if packing else job.rows()
    tokens = str(job.path.parent / "tokens")
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(tokens)
    run_exp(arguments(job, tokens, packing), callbacks=[watch])
    finish(job, clock, watch.losses, ("llamafactory", "transformers", "peft", "accelerate"), tokens_seen=watch.tokens)


if __name__ == "__main__":
    main()
