"""BitFit: the biases are trained and nothing else (Ben Zaken et al., https://arxiv.org/abs/2106.10199)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from luthier.errors import ModelError
from luthier.methods._peft import HEADED, PeftMethod
from luthier.registry import Options

if TYPE_CHECKING:
    from torch import nn

    from luthier.models.base import BaseModel


class BitfitOptions(Options):
    """BitFit."""

    name: Literal["bitfit"] = "bitfit"


class Bitfit(PeftMethod):
    """BitFit, as `peft` can do it: a LoRA without matrices, whose option `bias: all` is all there is."""

    Options: ClassVar[type[Options]] = BitfitOptions

    def __init__(self, options: BitfitOptions) -> None:
        self.options = options

    def usual_learning_rates(self, parameters: int) -> tuple[float, float, str]:
        """Far above those of full tuning."""
        return 1e-4, 1e-2, "Ben Zaken et al.: 1e-4 to 1e-3 (BERT); ten times that for small models"

    def peft_config(self, base: BaseModel, *, peft_task: str, total_steps: int) -> Any:
        """A `peft.LoraConfig` that adapts no module.

        Raises:
            ModelError: the network has no biases.
        """
        from peft import LoraConfig
        from peft.utils.constants import DUMMY_TARGET_MODULES

        body = [name for name, _ in base.network.named_parameters() if not name.startswith(base.architecture.head)]
        if not any(name.endswith(".bias") for name in body):
            raise ModelError(
                f"this {base.architecture.family} network has no biases: there is nothing for BitFit to train",
                hint="method: layer_norm or ia3, which train as little",
            )
        return LoraConfig(
            task_type=peft_task,
            target_modules=DUMMY_TARGET_MODULES,
            bias="all",
            modules_to_save=[*base.architecture.head] if peft_task in HEADED else None,
        )

    def apply(self, base: BaseModel, *, peft_task: str, total_steps: int) -> nn.Module:
        """The network with trained biases; of a new head only the copy that `peft` saves."""
        network = super().apply(base, peft_task=peft_task, total_steps=total_steps)
        for name, parameter in network.named_parameters():
            if ".original_module." in name:
                parameter.requires_grad_(False)
        return network
