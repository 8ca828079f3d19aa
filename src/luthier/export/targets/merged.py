"""A Hugging Face folder with the tuning merged into the weights: what `transformers` and its servers load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier import registry
from luthier.data.records import TokenSequence
from luthier.evaluation.speaker import Speaker
from luthier.export.parity import distributions
from luthier.models.loading import loader_of
from luthier.models.quiet import quiet

if TYPE_CHECKING:
    import torch


class Merged:
    """Merged in float32, saved in the type asked for, with the template that was trained in its tokenizer."""

    dtypes = ("float32", "bfloat16", "float16")

    def write(self, speaker: Speaker, folder: Path, dtype: str) -> None:
        """Merges, rounds once, saves weights and tokenizer."""
        import torch

        method = registry.load("method", speaker.config.method.name)(speaker.config.method)
        network: Any = method.merge(speaker.network).to(getattr(torch, dtype))
        tokenizer = speaker.base.tokenizer
        if speaker.task.head == "causal_lm":
            tokenizer.chat_template = speaker.renderer.template_text
        with quiet():
            network.save_pretrained(str(folder))
            tokenizer.save_pretrained(str(folder))

    def distributions(self, folder: Path, speaker: Speaker, rows: Sequence[TokenSequence]) -> list[torch.Tensor]:
        """Loads the folder as plain `transformers` does, in the type it was saved in."""
        loader = loader_of(speaker.task.head)
        with quiet():
            network = loader.from_pretrained(str(folder), dtype="auto", local_files_only=True).eval()
        return distributions(speaker.task, network, rows)
