from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from luthier.methods.bitfit import Bitfit, BitfitOptions

IDS = torch.tensor([[5, 6, 7, 8]])


def test_only_biases_are_trained_saved_and_merged(open_base: Any, tiny_gpt2: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from safetensors.torch import load_file

    method, base = Bitfit(BitfitOptions()), open_base(tiny_gpt2)
    names = {name for name, _ in base.network.named_parameters() if name.endswith(".bias")}
    network = method.apply(base, peft_task="CAUSAL_LM", total_steps=1)
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    assert {name.removeprefix("base_model.model.") for name in trained} == names
    before = network(IDS).logits
    with torch.no_grad():
        for parameter in trained.values():
            parameter.add_(0.1 * torch.randn_like(parameter))
    tuned = network(IDS).logits
    assert (tuned - before).abs().max() > 1e-2
    method.save(network, tmp_path / "adapter", base)
    assert set(load_file(tmp_path / "adapter" / "adapter_model.safetensors")) == set(trained)
    plain = PeftModel.from_pretrained(open_base(tiny_gpt2).network, tmp_path / "adapter")
    assert torch.equal(plain(IDS).logits, tuned)
    merged = method.merge(network)
    assert type(merged).__name__ == "GPT2LMHeadModel"
    assert torch.equal(merged(IDS).logits, tuned)


def test_of_a_head_only_the_saved_copy_is_trained(open_base: Any, tiny_bert: Path) -> None:
    base = open_base(tiny_bert, "sequence_classification", labels=("a", "b"))
    network = Bitfit(BitfitOptions()).apply(base, peft_task="SEQ_CLS", total_steps=1)
    head = {name for name, p in network.named_parameters() if p.requires_grad and "classifier" in name}
    assert len(head) == 2
    assert all(".modules_to_save." in name for name in head)
