"""Full tuning: every weight of the network, or all but frozen embeddings and layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel as Part
from pydantic import ConfigDict, Field

from luthier.errors import ModelError
from luthier.methods._common import TrainedInPlace
from luthier.methods._layers import Layers, check_layers
from luthier.models.quiet import quiet
from luthier.registry import Options

if TYPE_CHECKING:
    from torch import nn

    from luthier.models.base import BaseModel


class Freeze(Part):
    """What stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    embeddings: bool = Field(False, description="The embedding tables, and an output layer that shares their weights.")
    layers: Layers = Field(default_factory=list, description="These layers: 0-3, 0-3,7 or a list, from 0 at the input.")


class FullOptions(Options):
    """Options of full tuning."""

    name: Literal["full"] = "full"
    freeze: Freeze = Field(default_factory=lambda: Freeze(), description="What stays as it is.")


class Full(TrainedInPlace):
    """Full tuning, in float32."""

    Options: ClassVar[type[Options]] = FullOptions
    dtype = "float32"

    def __init__(self, options: FullOptions) -> None:
        self.options = options

    def usual_learning_rates(self, parameters: int) -> tuple[float, float, str]:
        """A tenth of LoRA's, and the common practice for BERT-like models."""
        return (
            1e-5,
            1e-4,
            'common practice for BERT-like models: 2e-5 to 5e-5; "LoRA Without Regret": a tenth of LoRA\'s',
        )

    def apply(self, base: BaseModel, *, peft_task: str, total_steps: int) -> nn.Module:
        """The network itself, trained but for what is frozen."""
        if base.quantise != "none":
            raise ModelError(
                f"full tuning changes the weights themselves, and those of this base are {base.quantise}",
                hint="method: lora, or model.quantise: none",
            )
        freeze, network = self.options.freeze, base.network
        check_layers(freeze.layers, network, base.architecture)
        network.requires_grad_(True)
        frozen = [f"{name}.{layer}" for name in base.architecture.layers for layer in freeze.layers]
        if freeze.embeddings:
            frozen += base.architecture.embeddings
        for name in frozen:
            network.get_submodule(name).requires_grad_(False)
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise ModelError("everything is frozen: there is nothing to train", hint="method.freeze")
        return network

    def save(self, network: Any, folder: Path, base: BaseModel) -> None:
        """Writes the whole model and its tokenizer, which plain `transformers` loads."""
        network.save_pretrained(str(folder))
        base.tokenizer.save_pretrained(str(folder))

    def open(self, base: BaseModel, folder: Path) -> nn.Module:
        """The base's network with the saved weights.

        Raises:
            ModelError: there is no such model, or it is not of this base.
        """
        import torch

        network: Any = base.network
        try:
            with quiet():
                saved, report = type(network).from_pretrained(
                    str(folder),
                    config=network.config,
                    dtype=torch.float32,
                    local_files_only=True,
                    use_safetensors=True,
                    output_loading_info=True,
                )
            if report["missing_keys"]:
                raise ValueError(f"it has no weights for {min(report['missing_keys'])}")
            network.load_state_dict(saved.state_dict())
        except Exception as error:  # whatever a damaged file makes the readers stumble over
            raise ModelError(
                f"the tuned model does not load on this base: {error}",
                where=str(folder),
                hint="was it trained on another base?",
            ) from error
        tuned: nn.Module = network.requires_grad_(False).eval()
        return tuned

    def merge(self, network: nn.Module) -> nn.Module:
        """The network as it is: its own weights were trained."""
        return network
