"""A GPT-2 with learned positions and transposed layers, and loading any tiny base."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luthier.config import ModelConfig
from luthier.models.base import BaseModel, Head
from luthier.models.files import resolve
from luthier.models.loading import load_base

OpenBase = Callable[..., BaseModel]


@pytest.fixture(scope="session")
def tiny_gpt2(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random GPT-2 of three layers, and the tiny Llama's tokenizer."""
    import torch
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=300,
        n_embd=32,
        n_layer=3,
        n_head=4,
        n_positions=64,
        initializer_range=0.2,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-gpt2"
    GPT2LMHeadModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_llama).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def open_base(kept_cache: Path) -> OpenBase:
    """`open_base(folder, head, dtype=..., labels=...)` loads a fresh base, a new head always the same."""

    def opened(
        folder: Path, head: Head = "causal_lm", *, dtype: Any = "float32", labels: tuple[str, ...] = ()
    ) -> BaseModel:
        import torch

        torch.manual_seed(0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LUTHIER_CACHE", str(kept_cache))
            config = ModelConfig(base=str(folder), dtype=dtype, device="cpu")
            return load_base(config, resolve(str(folder)), head=head, labels=labels)

    return opened
