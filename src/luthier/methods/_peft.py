"""Methods that the `peft` library implements: they differ in the configuration they make."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import ModelError
from luthier.methods._common import TrainedInPlace
from luthier.methods._float32 import entirely_float32, trained_in_float32
from luthier.models.quantisation import is_quantised

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.models.base import BaseModel

HEADED = ("SEQ_CLS", "TOKEN_CLS")
"""Tasks whose head is new: it is trained whole and saved beside the adapter."""


class PeftMethod(TrainedInPlace):
    """Base of methods from `peft`; a subclass says with which `PeftConfig`."""

    @abstractmethod
    def peft_config(self, base: BaseModel, *, peft_task: str, total_steps: int) -> Any:
        """The `peft.PeftConfig` of this method for a base.

        Raises:
            ModelError: the options do not fit the network.
        """

    def apply(self, base: BaseModel, *, peft_task: str, total_steps: int) -> nn.Module:
        """The network with an adapter; only the adapter, and a new head, are trained."""
        from peft import get_peft_model

        config = self.peft_config(base, peft_task=peft_task, total_steps=total_steps)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message=".*keys did not match any targeted module")
                warnings.filterwarnings("ignore", message="Unsupported layer type")  # norms, which it does support
                network: nn.Module = get_peft_model(base.network, config)
        except (ValueError, TypeError, NotImplementedError, RuntimeWarning) as error:
            raise ModelError(
                f"{type(self).__name__} does not fit this {base.architecture.family} network: {error}"
            ) from error
        self.in_float32(network, base.dtype)
        return network

    def in_float32(self, network: Any, compute: torch.dtype) -> None:
        """Turns the trained weights into float32, inside a network that computes in `compute`."""
        trained_in_float32(network, compute)

    def save(self, network: Any, folder: Path, base: BaseModel) -> None:
        """Writes adapter_config.json and adapter_model.safetensors."""
        network.peft_config[network.active_adapter].base_model_name_or_path = base.files.reference
        network.save_pretrained(str(folder))
        (folder / "README.md").unlink(missing_ok=True)  # a model card with nothing filled in

    def open(self, base: BaseModel, folder: Path) -> nn.Module:
        """The base with a saved adapter.

        Raises:
            ModelError: there is no adapter, or it is not of this base.
        """
        import torch
        from peft.utils import load_peft_weights, set_peft_model_state_dict

        if not (folder / "adapter_config.json").is_file():
            raise ModelError(f"there is no adapter in '{folder}'", expected="adapter_config.json and its safetensors")
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message=".*missing adapter keys")
                warnings.filterwarnings("ignore", message="Unsupported layer type")
                network = self.load(base, folder)
        except Exception as error:  # whatever a damaged file makes the readers stumble over
            raise ModelError(
                f"the adapter does not load on this base: {error}",
                where=str(folder),
                hint="was it trained on another base?",
            ) from error
        if base.dtype != torch.float32:  # they were rounded on loading
            self.in_float32(network, base.dtype)
            set_peft_model_state_dict(network, load_peft_weights(str(folder), device=str(base.device)))
        return network.requires_grad_(False).eval()

    def load(self, base: BaseModel, folder: Path) -> nn.Module:
        """What `peft` makes of a saved adapter, its weights marked as trained."""
        from peft import PeftModel

        network: nn.Module = PeftModel.from_pretrained(base.network, str(folder), is_trainable=True)
        return network

    def merge(self, network: Any) -> nn.Module:
        """The plain network in float32 with the adapter inside its weights."""
        if self.unmergeable:
            raise ModelError(self.unmergeable)
        if is_quantised(network):
            raise ModelError(
                "merged weights would be rounded to those of a quantised base again",
                hint="dequantise the base first, then open the adapter on it: luthier export does so",
            )
        entirely_float32(network)
        try:
            merged: nn.Module = network.merge_and_unload(safe_merge=True)
        except (ValueError, NotImplementedError) as error:
            raise ModelError(f"the adapter cannot be merged: {error}") from error
        return merged
