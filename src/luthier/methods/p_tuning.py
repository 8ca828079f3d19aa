"""P-tuning: a small network makes the embeddings in front of the text (Liu et al., https://arxiv.org/abs/2103.10385)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from luthier.methods._soft_prompts import SoftPromptMethod
from luthier.registry import Options

if TYPE_CHECKING:
    from luthier.models.base import BaseModel


class PTuningOptions(Options):
    """Options of P-tuning."""

    name: Literal["p_tuning"] = "p_tuning"
    tokens: int = Field(20, ge=1, description="Virtual tokens; every row gets that much longer.")
    encoder: Literal["mlp", "lstm"] = Field(
        "mlp", description="What makes them from trained vectors: three linear layers, or a bidirectional LSTM and two."
    )
    width: int | None = Field(None, ge=1, description="Its inner width. null = that of the base's embeddings.")
    layers: int = Field(2, ge=1, description="Layers of the LSTM.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Between the LSTM's layers.")

    @model_validator(mode="after")
    def _fits_together(self) -> PTuningOptions:
        if self.encoder == "mlp" and (self.layers != 2 or self.dropout):
            raise ValueError("layers and dropout are the LSTM's; encoder: mlp has neither")
        return self


class PTuning(SoftPromptMethod):
    """P-tuning, by `peft`. Saved are the finished embeddings: what made them is needed for training only."""

    Options: ClassVar[type[Options]] = PTuningOptions

    def __init__(self, options: PTuningOptions) -> None:
        self.options = options

    def usual_learning_rates(self, parameters: int) -> tuple[float, float, str]:
        """Those of a small network trained from nothing."""
        return 1e-4, 1e-2, "NeMo: 1e-4; peft's example: 1e-3; small models take more"

    def peft_config(self, base: BaseModel, *, peft_task: str, total_steps: int) -> Any:
        """The options in the words of `peft.PromptEncoderConfig`."""
        from peft import PromptEncoderConfig

        options = self.options
        return PromptEncoderConfig(
            task_type=peft_task,
            num_virtual_tokens=options.tokens,
            num_transformer_submodules=1,
            encoder_reparameterization_type=options.encoder.upper(),
            encoder_hidden_size=options.width,
            encoder_num_layers=options.layers,
            encoder_dropout=options.dropout,
            modules_to_save=self.head(base, peft_task),
        )

    def begin(self, network: Any, base: BaseModel) -> None:
        """Random, as `peft` made them."""
