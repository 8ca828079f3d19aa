"""The standard `transformers` Trainer with PEFT."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from common import Clock, Reached, finish, pad, read_job, watched
from hugging_face import Losses, load_network, lora_config, training_arguments
from peft import get_peft_model
from transformers import DataCollatorWithFlattening, Trainer, TrainingArguments


def main() -> None:
    job, clock, losses = read_job(), Clock(), Losses()
    network = get_peft_model(load_network(job), lora_config(job))
    flat = DataCollatorWithFlattening() if job.settings["padding_free"] else None
    trainer = Trainer(
        model=network,
        args=TrainingArguments(**training_arguments(job)),
        train_dataset=job.rows(),
        data_collator=flat or partial(pad, pad_id=job["pad_id"]),
        callbacks=[losses],
    )
    # Classifiers accept the count of items and then give a mean of their part: the Trainer has to divide it itself.
    trainer.model_accepts_loss_kwargs &= job["task"] == "causal_lm"
    questions = watched(job, clock, trainer.model)
    clock.start(job, questions)
    with suppress(Reached):
        trainer.train()
    trainer.save_model(str(job.output))
    more = {"tokens_seen": losses.tokens_seen, "accuracy": questions and questions.curve}
    finish(job, clock, losses.values, ("transformers", "peft", "accelerate"), **more)


if __name__ == "__main__":
    main()
