"""torchtune's LoRA builder and loss in a plain loop: its own recipes want a GPU or datasets of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from common import IGNORED, Clock, Job, finish, pad, read_job
from safetensors.torch import load_file, save_file
from torch import nn
from torchtune.models.convert_weights import hf_to_tune, tune_to_peft_adapter_weights
from torchtune.models.llama3_2._component_builders import lora_llama3_2
from torchtune.modules.attention_utils import packed_block_causal_mask
from torchtune.modules.loss import CEWithChunkedOutputLoss
from torchtune.modules.peft import get_adapter_params, get_adapter_state_dict, set_trainable_params
from torchtune.training import scale_grads, set_default_dtype


def load_network(job: Job) -> tuple[nn.Module, dict[str, int]]:
    """SmolLM2 is a small Llama with tied embeddings; a scale factor of 1 leaves its rotary positions as they are."""
    config = json.loads((Path(job["base"]) / "config.json").read_text(encoding="utf-8"))
    theta = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
    heads = {
        "num_heads": config["num_attention_heads"],
        "num_kv_heads": config["num_key_value_heads"],
    }
    with set_default_dtype(job.dtype):
        network = lora_llama3_2(
            ["q_proj", "k_proj", "v_proj", "output_proj"],
            apply_lora_to_mlp=True,
            vocab_size=config["vocab_size"],
            num_layers=config["num_hidden_layers"],
            embed_dim=config["hidden_size"],
            max_seq_len=config["max_position_embeddings"],
            intermediate_dim=config["intermediate_size"],
            norm_eps=config["rms_norm_eps"],
            rope_base=int(theta),
            scale_factor=1,
            lora_rank=job["rank"],
            lora_alpha=job["alpha"],
            **heads,
        )
    sizes = {**heads, "dim": config["hidden_size"]}
    weights = {k: v for k, v in load_file(Path(job["base"]) / "model.safetensors").items() if k != "lm_head.weight"}
    network.load_state_dict(hf_to_tune(weights, **sizes), strict=False)
    set_trainable_params(network, get_adapter_params(network))
    return network, sizes


def batch(rows: list[dict[str, Any]], job: Job) -> tuple[dict[str, Any], torch.Tensor]:
    """What the network takes, and the labels shifted to the position that predicts them: its recipes shift so, too."""
    if job.settings["padding_free"]:
        ids = torch.tensor([[token for row in rows for token in row["input_ids"]]])
        labels = torch.tensor([[label for row in rows for label in (*row["labels"][1:], IGNORED)]])
        lengths = [torch.tensor([len(row["input_ids"]) for row in rows])]
        places = torch.cat([torch.arange(int(length)) for length in lengths[0]])[None]
        return {"tokens": ids, "mask": packed_block_causal_mask(lengths), "input_pos": places}, labels
    padded = pad(rows, job["pad_id"])
    labels = torch.hstack((padded["labels"][..., 1:], torch.full((len(rows), 1), IGNORED)))
    return {"tokens": padded["input_ids"]}, labels


def main() -> None:
    job, clock = read_job(), Clock()
    torch.manual_seed(job["seed"])
    network, sizes = load_network(job)
    network.train()
    optimizer = torch.optim.AdamW(get_adapter_params(network).values(), lr=job["learning_rate"], weight_decay=0.0)
    loss_of = CEWithChunkedOutputLoss()
    network.set_num_output_chunks(loss_of.num_output_chunks)
    losses: list[float] = []
    clock.start(job)
    for rows in job.steps():
        total, count = 0.0, 0
        for start in range(0, len(rows), job.micro_batch):
            inputs, labels = batch(rows[start : start + job.micro_batch], job)
            tokens = int((labels != IGNORED).sum())
            loss = loss_of(network(**inputs), labels) * tokens
            loss.backward()
            total, count = total + float(loss.detach()), count + tokens
        scale_grads(network, torch.tensor(1 / count))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(total / count)
    job.output.mkdir(exist_ok=True)
    weights = tune_to_peft_adapter_weights(get_adapter_state_dict(network.state_dict()), **sizes)
    save_file({name: value.contiguous() for name, value in weights.items()}, job.output / "adapter_model.safetensors")
    finish(job, clock, losses, ("torchtune", "torchao"))


if __name__ == "__main__":
    main()
