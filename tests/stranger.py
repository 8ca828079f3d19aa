"""Run as a process of its own: loads an adapter by `peft` and `transformers` alone, and answers one row at a time."""

import json
import sys

import torch
from peft import AutoPeftModelForCausalLM, PeftConfig, PeftModel
from transformers import AutoModelForSequenceClassification


def load(question: dict) -> PeftModel:
    if question["head"] == "causal_lm":
        return AutoPeftModelForCausalLM.from_pretrained(question["adapter"], dtype=torch.float32).eval()
    base = PeftConfig.from_pretrained(question["adapter"]).base_model_name_or_path
    network = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=len(question["labels"]), dtype=torch.float32
    )
    return PeftModel.from_pretrained(network, question["adapter"]).eval()


def last(network: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    logits = network(torch.tensor([ids])).logits[0]
    return logits[-1] if logits.dim() == 2 else logits


def best_label(network: torch.nn.Module, question: dict, prompt: list[int]) -> str:
    if question["head"] != "causal_lm":
        return question["labels"][int(last(network, prompt).argmax())]
    scores = []
    for answer in question["answers"]:
        logprobs = network(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
        scores.append(sum(float(logprobs[len(prompt) + i - 1, token]) for i, token in enumerate(answer)))
    return question["labels"][scores.index(max(scores))]


question = json.load(sys.stdin)
with torch.inference_mode():
    tuned = load(question)
    found = {
        "tuned": [last(tuned, prompt).tolist() for prompt in question["prompts"]],
        "answers": [best_label(tuned, question, prompt) for prompt in question["prompts"]],
        "luthier": any(name.partition(".")[0] == "luthier" for name in sys.modules),
    }
    with tuned.disable_adapter():
        found["base"] = [last(tuned, prompt).tolist() for prompt in question["prompts"]]
print(json.dumps(found))
