from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.errors import ModelError
from luthier.methods.llama_adapter import LlamaAdapter, LlamaAdapterOptions


def adapted(base: Any, task: str = "CAUSAL_LM", **options: Any) -> Any:
    return LlamaAdapter(LlamaAdapterOptions(**options)).apply(base, peft_task=task, total_steps=1)


def prompts(network: Any) -> list[str]:
    return [name for name, p in network.named_parameters() if p.requires_grad and name.endswith("adaption_prompt")]


def test_all_layers_but_the_lowest_two(open_base: Any, tiny_gpt2: Path) -> None:
    assert [".h.2." in name for name in prompts(adapted(open_base(tiny_gpt2)))] == [True]
    assert len(prompts(adapted(open_base(tiny_gpt2), layers=2))) == 2
    with pytest.raises(ModelError, match="no 4 layers"):
        adapted(open_base(tiny_gpt2), layers=4)


def test_it_starts_as_the_base(open_base: Any, tiny_llama: Path) -> None:
    ids, base = torch.tensor([[5, 6, 7]]), open_base(tiny_llama)
    before = base.network(ids).logits
    assert torch.equal(adapted(base)(ids).logits, before)


def test_a_head_would_not_be_trained(open_base: Any, tiny_llama: Path) -> None:
    base = open_base(tiny_llama, "sequence_classification", labels=("a", "b"))
    with pytest.raises(ModelError, match="neither trained nor saved"):
        adapted(base, "SEQ_CLS")
