"""LitGPT's LoRA finetuning, fed with rows that are tokenised already.

Its loss is a mean of the micro-batches' means, which is the mean over all tokens of a step only when these have equally
many supervised tokens; so each is weighted by them. Its learning rate always warms up, then falls.
"""

from __future__ import annotations

import csv
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common import Clock, Job, finish, pad, read_job
from litgpt.args import EvalArgs, TrainArgs
from litgpt.data import DataModule
from litgpt.finetune import lora
from litgpt.prompts import Default
from litgpt.scripts.convert_hf_checkpoint import convert_hf_checkpoint
from torch.utils.data import DataLoader

NAME = "SmolLM2-135M-Instruct"
PRECISION = {"float32": "32-true", "bfloat16": "bf16-true"}


class Rows(DataModule):
    """The job's rows in their order."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job, self.prompt_style = job, Default()

    def connect(self, **_: Any) -> None:
        pass

    def _collate(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch = pad(rows, self.job["pad_id"])
        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        return batch | {"token_counts": {"raw": lengths, "raw_plus_prompt_template": lengths}}

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.job.rows(), self.job.micro_batch, collate_fn=self._collate)

    def val_dataloader(self) -> DataLoader:
        """Two tokens: it insists on looking at a validation batch before it trains."""
        row = {"input_ids": [1, 2], "attention_mask": [1, 1], "labels": [1, 2]}
        return DataLoader([row], 1, collate_fn=partial(pad, pad_id=self.job["pad_id"]))


def checkpoint(job: Job) -> Path:
    """The base in LitGPT's layout, made once."""
    folder = Path(job["cache"]) / "litgpt" / Path(job["base"]).name
    if not (folder / "lit_model.pth").exists():
        shutil.copytree(job["base"], folder, dirs_exist_ok=True)
        convert_hf_checkpoint(folder, model_name=NAME)
    return folder


class Race:
    """Stands between LitGPT's functions: starts the clock when it begins to train, weights the loss, stops when the
    adapter is on disk (it would go on to merge it into the base)."""

    def __init__(self, job: Job, clock: Clock) -> None:
        self.job, self.clock = job, clock
        self.fit, self.save = lora.fit, lora.save_lora_checkpoint
        lora.fit, lora.save_lora_checkpoint = self.timed_fit, self.last_save
        self.loss, self.weights = lora.chunked_cross_entropy, iter(job.micro_batch_weights())
        lora.chunked_cross_entropy = self.weighted_loss

    def timed_fit(self, **arguments: Any) -> Any:
        self.clock.start(self.job)
        return self.fit(**arguments)

    def weighted_loss(self, logits: Any, targets: torch.Tensor, **options: Any) -> torch.Tensor:
        """Its validation, which asks for no chunks, is left as it is."""
        loss = self.loss(logits, targets, **options)
        return loss if options else loss * next(self.weights)

    def last_save(self, fabric: Any, model: Any, path: Path) -> None:
        self.save(fabric, model, path)
        fabric.logger.finalize("success")
        finish(self.job, self.clock, self.losses(), ("litgpt", "lightning"))
        raise SystemExit(0)

    def losses(self) -> list[float]:
        """It logs the mean of a step's micro-batches at the last of them."""
        each = self.job["batch_size"] // self.job.micro_batch
        log = self.job.output / "logs" / "csv" / "version_0" / "metrics.csv"
        with log.open(encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["loss"]]
        return [float(row["loss"]) for row in rows if int(row["iter"]) % each == 0]


def main() -> None:
    job = read_job()
    folder = checkpoint(job)
    if job["prepare"]:
        return
    clock = Clock()
    Race(job, clock)
    size = job.micro_batch
    lora.setup(
        checkpoint_dir=folder,
        out_dir=job.output,
        precision=PRECISION[job.settings["dtype"]],
        lora_r=job["rank"],
        lora_alpha=int(job["alpha"]),
        lora_dropout=0.0,
        lora_query=True,
        lora_key=True,
        lora_value=True,
        lora_projection=True,
        lora_mlp=True,
        data=Rows(job),
        train=TrainArgs(
            save_interval=None,
            log_interval=1,
            global_batch_size=job["batch_size"],
            micro_batch_size=size,
            lr_warmup_steps=1,
            epochs=2,
            max_steps=job["steps"],
            max_seq_length=None,
        ),
        eval=EvalArgs(interval=1_000_000, max_new_tokens=1, final_validation=False),
        optimizer={
            "class_path": "torch.optim.AdamW",
            "init_args": {"lr": job["learning_rate"], "weight_decay": 0.0, "betas": [0.9, 0.999]},
        },
        seed=job["seed"],
    )


if __name__ == "__main__":
    main()
