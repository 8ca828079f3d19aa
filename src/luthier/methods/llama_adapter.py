"""LLaMA-Adapter: the upper layers also attend to a trained prompt, through a gate that starts closed.

Zhang et al., https://arxiv.org/abs/2303.16199.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from luthier.errors import ModelError
from luthier.methods._peft import PeftMethod
from luthier.registry import Options

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.models.base import BaseModel

FAMILIES = ("llama", "mistral", "gpt2")
"""What `peft` has it for."""

TRAINED = ("adaption_prompt", "adaption_gate")


class LlamaAdapterOptions(Options):
    """Options of LLaMA-Adapter."""

    name: Literal["llama_adapter"] = "llama_adapter"
    tokens: int = Field(10, ge=1, description="Length of the prompt.")
    layers: int | None = Field(
        None, ge=1, description="How many layers have one, counted from the top. null = all but the two lowest."
    )


class LlamaAdapter(PeftMethod):
    """LLaMA-Adapter, by `peft`, for language models of a few families."""

    Options: ClassVar[type[Options]] = LlamaAdapterOptions
    unmergeable = "LLaMA-Adapter attends to a prompt of its own: no weight of the network does the same"

    def __init__(self, options: LlamaAdapterOptions) -> None:
        self.options = options

    def usual_learning_rates(self, parameters: int) -> tuple[float, float, str]:
        """High: the gate starts at zero."""
        return 1e-3, 3e-2, "Zhang et al.: 9e-3 (LLaMA 7B)"

    def peft_config(self, base: BaseModel, *, peft_task: str, total_steps: int) -> Any:
        """The options in the words of `peft.AdaptionPromptConfig`.

        Raises:
            ModelError: `peft` does not have it for this family or task, or the network has fewer layers.
        """
        from peft import AdaptionPromptConfig

        network: Any = base.network
        family = base.architecture.family
        if family not in FAMILIES:
            raise ModelError(f"there is no LLaMA-Adapter for {family} networks", expected=", ".join(FAMILIES))
        if peft_task != "CAUSAL_LM":
            raise ModelError(
                "LLaMA-Adapter is for language models: a new head would be neither trained nor saved",
                hint="task: causal_lm, or another method",
            )
        depth = len(network.get_submodule(base.architecture.layers[0]))
        layers = self.options.layers or max(depth - 2, 1)
        if layers > depth:
            raise ModelError(f"there are no {layers} layers", where="method.layers", expected=f"at most {depth}")
        return AdaptionPromptConfig(task_type=peft_task, adapter_len=self.options.tokens, adapter_layers=layers)

    def in_float32(self, network: Any, compute: torch.dtype) -> None:
        """Trained in float32, and rounded whenever a layer runs: `peft` computes in the prompt's own type."""
        import torch

        if compute == torch.float32:
            return
        for module in network.modules():
            if "adaption_prompt" in module._parameters:
                for name in TRAINED:
                    weight = module._parameters[name]
                    weight.data = weight.data.float()
                module.register_forward_pre_hook(partial(_round, compute))
                module.register_forward_hook(_unround, always_call=True)


def _round(compute: torch.dtype, module: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Attributes stand before parameters of the same name."""
    for name in TRAINED:
        module.__dict__[name] = getattr(module, name).to(compute)


def _unround(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
    for name in TRAINED:
        module.__dict__.pop(name, None)
