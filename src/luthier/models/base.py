"""What a base model is to the other rooms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from luthier.models.architectures import Architecture

if TYPE_CHECKING:
    import torch
    from torch import nn

Head = Literal["causal_lm", "seq2seq_lm", "sequence_classification", "token_classification"]
"""Which transformers class carries a task."""

Progress = Callable[[str], None]
"""Told, as a sentence, what takes a while."""


@dataclass(frozen=True)
class ModelFiles:
    """A base model on disk, found but not loaded.

    Attributes:
        folder: holds config.json, safetensors weights and the tokenizer; for a GGUF file, its dequantised copy.
        source: what the user wrote in `model.base`.
        digest: hash of the weights' files.
        hub_id: its name on the hub, when that is where it came from.
    """

    folder: Path
    source: str
    digest: str
    hub_id: str | None = None

    @property
    def reference(self) -> str:
        """What an adapter names as its base: a hub id works on any machine, a folder on this one."""
        return self.hub_id or str(self.folder)


@dataclass(frozen=True)
class BaseModel:
    """A base model in memory.

    Attributes:
        network: the transformers model, frozen, in eval mode.
        tokenizer: its tokenizer, with a pad token set.
        files: where it came from.
        architecture: which modules are attention, which MLP, what LoRA targets by default.
        dtype: type of the frozen weights and of the computation.
        dtype_reason: why this type was chosen.
        device: where it computes.
        quantise: none, or how the weights of its layers are quantised.
    """

    network: nn.Module
    tokenizer: Any
    files: ModelFiles
    architecture: Architecture
    dtype: torch.dtype
    dtype_reason: str
    device: torch.device
    quantise: str = "none"
