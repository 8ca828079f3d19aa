"""TRL's SFTTrainer."""

from __future__ import annotations

from contextlib import suppress

from common import Clock, Reached, finish, read_job, watched
from datasets import Dataset
from hugging_face import Losses, load_network, lora_config, training_arguments
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer


def main() -> None:
    job, clock, losses = read_job(), Clock(), Losses()
    config = SFTConfig(
        **training_arguments(job),
        max_length=None,
        padding_free=job.settings["padding_free"],
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    rows = [{"input_ids": row["input_ids"], "labels": row["labels"]} for row in job.rows()]
    trainer = SFTTrainer(
        model=load_network(job),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(job["base"]),
        peft_config=lora_config(job),
        callbacks=[losses],
    )
    questions = watched(job, clock, trainer.model)
    clock.start(job, questions)
    with suppress(Reached):
        trainer.train()
    trainer.save_model(str(job.output))
    more = {"tokens_seen": losses.tokens_seen, "accuracy": questions and questions.curve}
    finish(job, clock, losses.values, ("trl", "transformers", "peft", "accelerate"), **more)


if __name__ == "__main__":
    main()
