"""Prefix tuning: trained keys and values in front of every layer's own (Li and Liang, https://arxiv.org/abs/2101.00190)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from luthier.errors import ModelError
from luthier.methods._soft_prompts import SoftPromptMethod, words
from luthier.registry import Options

if TYPE_CHECKING:
    from luthier.models.base import BaseModel


class PrefixOptions(Options):
    """Options of prefix tuning."""

    name: Literal["prefix"] = "prefix"
    tokens: int = Field(20, ge=1, description="Virtual tokens: positions with trained keys and values.")
    projection: bool = Field(
        False, description="Make them by two linear layers, which are needed for training only: steadier, slower."
    )
    width: int | None = Field(None, ge=1, description="Inner width of the projection. null = that of a layer's keys.")
    init: Literal["words", "random"] = Field(
        "words",
        description="Begin as the keys and values that the base computes for words, so that training starts from a "
        "plain prompt, or as random ones. Encoders, encoder-decoders and projections begin at random anyway.",
    )
    text: str | None = Field(
        None, description="These words, repeated or cut to `tokens`, such as the instruction. null = drawn words."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> PrefixOptions:
        if self.text is not None and (self.init == "random" or self.projection):
            raise ValueError("text goes with neither init: random nor projection: true")
        if self.width is not None and not self.projection:
            raise ValueError("width is the projection's: set projection: true")
        return self


class Prefix(SoftPromptMethod):
    """Prefix tuning, by `peft`; an encoder-decoder gets the prefix in its decoder's self-attention."""

    Options: ClassVar[type[Options]] = PrefixOptions

    def __init__(self, options: PrefixOptions) -> None:
        self.options = options

    def usual_learning_rates(self, parameters: int) -> tuple[float, float, str]:
        """Low with a projection, high without."""
        return 5e-5, 1e-2, "Li and Liang: 5e-5 to 8e-5 with a projection; P-tuning v2 and peft's examples: 5e-3 to 1e-2"

    def peft_config(self, base: BaseModel, *, peft_task: str, total_steps: int) -> Any:
        """The options in the words of `peft.PrefixTuningConfig`; where keys are narrower than the model, their size."""
        from peft import PrefixTuningConfig

        options, network = self.options, base.network
        config: Any = network.config.get_text_config()  # type: ignore[operator, union-attr]
        heads, width = getattr(config, "num_heads", None), getattr(config, "d_kv", None)  # T5's do not fill its width
        return PrefixTuningConfig(
            task_type=peft_task,
            num_virtual_tokens=options.tokens,
            num_layers=getattr(config, "num_decoder_layers", None),
            num_attention_heads=heads if width else None,
            token_dim=heads * width if heads and width else None,
            prefix_projection=options.projection,
            encoder_hidden_size=options.width,
            modules_to_save=self.head(base, peft_task),
        )

    def begin(self, network: Any, base: BaseModel) -> None:
        """The base's own keys and values of words, where it remembers any."""
        from luthier.models.inference import accepts

        if self.options.init == "random" or self.options.projection:
            return
        remembers = accepts(base.network, "past_key_values") and not network.config.is_encoder_decoder
        if remembers:
            _begin_with_memory(network, base, self.options.text)
        elif self.options.text is not None:
            raise ModelError(
                f"this {base.architecture.family} network keeps no keys and values of a text", where="method.text"
            )


def _begin_with_memory(network: Any, base: BaseModel, text: str | None) -> None:
    """Lays the cache of a text out as `peft` does: a row a token, in it key and value of every layer, head by head."""
    import torch

    table = network.prompt_encoder[network.active_adapter].embedding.weight
    ids_1n = torch.tensor([words(base, text, len(table))], device=table.device)
    with torch.no_grad():
        cache = base.network(ids_1n, use_cache=True).past_key_values
        parts = [part[0] for layer in cache.layers for part in (layer.keys, layer.values)]
        if sum(part.shape[0] * part.shape[2] for part in parts) != table.shape[1] or len({p.shape for p in parts}) > 1:
            raise ModelError(f"the layers of this {base.architecture.family} network keep keys of different sizes")
        table.copy_(torch.stack(parts).permute(2, 0, 1, 3).flatten(1))
